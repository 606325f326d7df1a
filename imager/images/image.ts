/** A boot image: what one entry of the boot table says, how it is written down, and what is refused. Pure. */
import { isName } from '../../agent/protocol/names.ts';

export type Architecture = 'arm64' | 'amd64';

/** What an entry of the boot table is. */
const IMAGE_KINDS = ['linux', 'efi', 'boot-sector', 'nbi'] as const;
export type ImageKind = (typeof IMAGE_KINDS)[number];

/** The files of an image, under the names they have in the table and on the wire. */
export const FILE_NAMES = ['kernel', 'initrd', 'dtb', 'boot.efi', 'boot.img', 'boot.nbi'] as const;
export type FileName = (typeof FILE_NAMES)[number];

export interface ImageFile {
  bytes: number;
  /** SHA-256 of the content, in hexadecimal. */
  sha256: string;
}

interface Entry<Kind extends ImageKind, Files> {
  name: string;
  kind: Kind;
  arch: Architecture;
  /** Kernel command line without what the firmware adds for the node, or a UEFI program's load options. */
  args: string;
  files: Files;
  /** When it was added: ISO 8601, UTC. */
  added: string;
}

export type LinuxImage = Entry<'linux', { kernel: ImageFile; initrd: ImageFile; dtb?: ImageFile }>;
/** A UEFI program: a boot loader, or a unified kernel image. */
export type EfiImage = Entry<'efi', { 'boot.efi': ImageFile }>;
/** A raw disk that begins with a boot sector, for PC BIOSes. */
export type BootSectorImage = Entry<'boot-sector', { 'boot.img': ImageFile }>;
/** A tagged network boot image, for PC BIOSes: see nbi/header.ts. */
export type NbiImage = Entry<'nbi', { 'boot.nbi': ImageFile }>;
export type BootImage = LinuxImage | EfiImage | BootSectorImage | NbiImage;

/** The files a kind must have. */
const REQUIRED: Record<ImageKind, readonly FileName[]> = {
  linux: ['kernel', 'initrd'],
  efi: ['boot.efi'],
  'boot-sector': ['boot.img'],
  nbi: ['boot.nbi'],
};

/** The files there are of an image, in the order of FILE_NAMES. */
export function filesOf(image: BootImage): [FileName, ImageFile][] {
  const files: Partial<Record<FileName, ImageFile>> = image.files;
  return FILE_NAMES.flatMap((name) => {
    const file = files[name];
    return file === undefined ? [] : [[name, file] as [FileName, ImageFile]];
  });
}

/** What is wrong with an image or its name, in words for the person who asked. */
export class ImageError extends Error {}

/** Half of what arm64 and amd64 kernels take (COMMAND_LINE_SIZE, 2048): the rest is the node's. */
const MAX_ARGS = 1024;

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

/**
 * The image described by the text of an image.json, for the image kept as `name`. Throws ImageError, which ends with `mending`: what
 * is to be done.
 */
export function parseImage(name: string, text: string, mending: string): BootImage {
  const fail = (what: string): never => {
    throw new ImageError(`image ${name} is damaged: image.json ${what}; ${mending}`);
  };
  let value: Partial<BootImage>;
  try {
    value = JSON.parse(text) as Partial<BootImage>;
  } catch {
    return fail('is not JSON');
  }
  if (typeof value !== 'object' || value === null) return fail('is not an object');
  // An image.json without a kind was written before there were any but kernels.
  const { arch, args, files, added, kind = 'linux' } = value;
  if (value.name !== name) return fail(`names another image (${JSON.stringify(value.name)})`);
  if (arch !== 'arm64' && arch !== 'amd64') return fail('has no known arch');
  if (!IMAGE_KINDS.includes(kind)) return fail(`has a kind that is not known (${JSON.stringify(kind)})`);
  if (typeof args !== 'string' || typeof added !== 'string') return fail('has no args or no date');
  try {
    checkArgs(args);
  } catch (error) {
    return fail(`has arguments that cannot be: ${(error as Error).message}`);
  }
  const kept: Partial<Record<FileName, ImageFile>> = {};
  for (const file of kind === 'linux' ? ([...REQUIRED.linux, 'dtb'] as const) : REQUIRED[kind]) {
    const found = (files as Partial<Record<FileName, ImageFile>> | undefined)?.[file];
    if (found === undefined && file === 'dtb') continue;
    if (!isImageFile(found)) return fail(`has no ${file}, or a bad one`);
    kept[file] = found;
  }
  return { name, kind, arch, args, files: kept, added } as BootImage;
}

function isImageFile(value: ImageFile | undefined): value is ImageFile {
  return Number.isSafeInteger(value?.bytes) && /^[0-9a-f]{64}$/.test(value?.sha256 ?? '');
}
