/** A boot image: what one entry of the boot table says, how it is written down, and what is refused. Pure. */
import { isName } from '../../agent/protocol/names.ts';

export type Architecture = 'arm64' | 'amd64';

/** The files of an image, under the names they have in the table and on the wire. */
export const FILE_NAMES = ['kernel', 'initrd', 'dtb'] as const;
export type FileName = (typeof FILE_NAMES)[number];

export interface ImageFile {
  bytes: number;
  /** SHA-256 of the content, in hexadecimal. */
  sha256: string;
}

export interface BootImage {
  name: string;
  arch: Architecture;
  /** Kernel command line, without what the firmware adds for the node. */
  args: string;
  files: { kernel: ImageFile; initrd: ImageFile; dtb?: ImageFile };
  /** When it was added: ISO 8601, UTC. */
  added: string;
}

/** What is wrong with an image or its name, in words for the person who asked. */
export class ImageError extends Error {}

/** Half of what arm64 and amd64 kernels take (COMMAND_LINE_SIZE, 2048): the rest is the node's. */
export const MAX_ARGS = 1024;

/**
 * Throws ImageError where `args` would not reach the kernel as written: U-Boot's `env import -t` ends a value at a
 * newline and its shell and iPXE's expand `$`, split at `;` and treat quotes and backslashes their own way.
 */
export function checkArgs(args: string): void {
  if (args.length > MAX_ARGS)
    throw new ImageError(`kernel arguments of ${args.length} characters, at most ${MAX_ARGS}`);
  const bad = /[^ -~]|[$;\\"'`]/.exec(args);
  if (bad !== null)
    throw new ImageError(
      `kernel arguments may not contain ${describe(bad[0])} (character ${bad.index + 1}): ` +
        'the firmware would take it for itself',
    );
  const word = args.split(' ').find((part) => part === '&&' || part === '||' || part.startsWith('#'));
  if (word !== undefined)
    throw new ImageError(`kernel arguments may not contain the word ${word}: iPXE would take it for itself`);
}

function describe(character: string): string {
  const names: Record<string, string> = {
    '\n': 'a newline',
    '\r': 'a carriage return',
    '\0': 'a NUL',
    '\t': 'a tab',
  };
  const code = character.codePointAt(0) ?? 0;
  return (
    names[character] ?? (code > 32 && code < 127 ? character : `U+${code.toString(16).padStart(4, '0')}`)
  );
}

/** Throws ImageError where `name` cannot be an image's. */
export function checkName(name: string): void {
  if (!isName(name))
    throw new ImageError(
      `${JSON.stringify(name)} is no image name: 1 to 63 of a-z 0-9 . _ - and a letter or digit first`,
    );
}

/** The image described by the text of an image.json, for the image kept as `name`. Throws ImageError. */
export function parseImage(name: string, text: string): BootImage {
  const fail = (what: string): never => {
    throw new ImageError(`image ${name} is damaged: image.json ${what}; remove its folder and add it again`);
  };
  let value: Partial<BootImage>;
  try {
    value = JSON.parse(text) as Partial<BootImage>;
  } catch {
    return fail('is not JSON');
  }
  if (typeof value !== 'object' || value === null) return fail('is not an object');
  const { arch, args, files, added } = value;
  if (value.name !== name) return fail(`names another image (${JSON.stringify(value.name)})`);
  if (arch !== 'arm64' && arch !== 'amd64') return fail('has no known arch');
  if (typeof args !== 'string' || typeof added !== 'string') return fail('has no args or no date');
  checkArgs(args);
  const { kernel, initrd, dtb } = (files ?? {}) as Partial<BootImage['files']>;
  if (!isImageFile(kernel) || !isImageFile(initrd)) return fail('has no kernel or no initrd');
  if (dtb !== undefined && !isImageFile(dtb)) return fail('has a bad dtb');
  return { name, arch, args, files: { kernel, initrd, ...(dtb === undefined ? {} : { dtb }) }, added };
}

function isImageFile(value: ImageFile | undefined): value is ImageFile {
  return Number.isSafeInteger(value?.bytes) && /^[0-9a-f]{64}$/.test(value?.sha256 ?? '');
}

/**
 * The manifest U-Boot reads with `env import -t`: one `name=value` a line. `bw_kernel`, `bw_initrd` and, where there
 * is one, `bw_dtb` are names of files beside it; `bw_args` is the kernel command line.
 */
export function manifest(image: BootImage): string {
  const files = FILE_NAMES.filter((file) => image.files[file] !== undefined);
  return [...files.map((file) => `bw_${file}=${file}`), `bw_args=${image.args}`, ''].join('\n');
}

/**
 * The iPXE script that boots the image. Its URIs are relative to its own. Whoever chains to it may set `bw_cmdline`,
 * which goes before the image's own arguments; `initrd=` names the initrd for kernels started through UEFI. A file
 * that makes no progress for three seconds sends the loader to its next imager.
 */
export function ipxeScript(image: BootImage): string {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE expands it, to nothing where it is not set
  const kernel = ['kernel --timeout 3000 kernel initrd=initrd ${bw_cmdline}', image.args];
  return [
    '#!ipxe',
    kernel.filter((part) => part !== '').join(' '),
    'initrd --timeout 3000 initrd',
    `echo bootwright: firmware boot ${image.name}`,
    // SeaBIOS holds the end of a line back until the next one, and the kernel's change of the video mode loses it.
    'echo starting the kernel',
    'boot',
    '',
  ].join('\n');
}
