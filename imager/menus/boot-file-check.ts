/** What can be known at the start to be wrong with the boot files the configuration names. */
import { type BootFiles, NotServed } from '../images/boot-files.ts';
import { efiArchitecture, LOOK_BYTES, look } from '../images/look.ts';
import { normalisePath } from '../images/tree.ts';
import { type Architecture, architectureNamed } from '../model/architectures.ts';
import type { BootMenu, ImagerSettings } from '../model/config.ts';

/** Debian's names of what UEFI firmware runs. Byte code and what numbers itself so (see architectures.ts) run x86-64. */
const RUNS: Readonly<Record<string, string>> = {
  ia32: 'i386',
  x64: 'amd64',
  bc: 'amd64',
  arm32: 'armhf',
  arm64: 'arm64',
  riscv64: 'riscv64',
};

/**
 * Why firmware of `architecture` cannot start the file that begins with `head`, in words; undefined where it can, or where
 * that is not to be seen.
 */
export function bootFileFault({ kind, name, words }: Architecture, head: Uint8Array): string | undefined {
  const program = efiArchitecture(head);
  if (kind === 'bios') {
    if (program === undefined && look(head).format !== 'linux') return undefined;
    const found = program === undefined ? look(head).words : `a UEFI program for ${program}`;
    return `it is ${found}, and ${words} starts network boot programs alone, such as ipxe/undionly.kpxe`;
  }
  const runs = RUNS[name.replace(/^(?:efi|http)-/, '')];
  if (kind !== 'efi' || runs === undefined || program === runs) return undefined;
  const found = program === undefined ? 'no UEFI program' : `a UEFI program for ${program}`;
  return `it is ${found}, and ${words} starts those for ${runs} alone`;
}

/** A boot file where the configuration names it. */
interface Named {
  /** Whose it is; empty: everybody's. */
  node: string;
  place: string;
  file: string | undefined;
  architecture?: Architecture | undefined;
  /** Of the node that is to load it, where the configuration says. */
  address?: string | undefined;
}

/** A sentence for each boot file named in the configuration that will not boot anybody; `node` is empty where it is for all. */
export async function bootFileFaults(
  config: ImagerSettings,
  files: BootFiles,
): Promise<{ node: string; error: string }[]> {
  const named: Named[] = [
    ...Object.entries(config.boot.files).map(([arch, file]) => ({
      node: '',
      place: `boot.files.${arch}`,
      file,
      architecture: architectureNamed(arch),
    })),
    ...config.nodes.map(({ name, address, boot }) => ({
      node: name,
      place: `boot.file of ${name}`,
      file: boot?.file,
      address,
    })),
    ...menuFiles('', 'the boot menu', config.boot.menu),
    ...config.nodes.flatMap(({ name, address, boot }) =>
      menuFiles(name, `the boot menu of ${name}`, boot?.menu, address),
    ),
  ];
  const found: { node: string; error: string }[] = [];
  for (const each of named) {
    const { node, place, file } = each;
    const fault = file === undefined ? undefined : await faultOf(file, each, config, files);
    if (fault !== undefined) found.push({ node, error: `${place} names ${file}: ${fault}` });
  }
  return found;
}

function menuFiles(node: string, place: string, menu: BootMenu | undefined, address?: string): Named[] {
  return (menu?.items ?? []).flatMap(({ boot }) =>
    typeof boot === 'object' ? [{ node, place, file: boot.file, address }] : [],
  );
}

async function faultOf(
  file: string,
  { architecture, address }: Named,
  { network }: ImagerSettings,
  files: BootFiles,
): Promise<string | undefined> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(file))
    return architecture === undefined || architecture.http || architecture.kind === 'uboot'
      ? undefined
      : `${architecture.words} loads by TFTP, and takes paths alone`;
  // Served by somebody else.
  if (network.nextServer !== undefined && network.nextServer !== network.address) return undefined;
  const client = { address: address ?? network.address };
  const opened = await files.open(file, client).catch((error: Error) => error);
  // There, and made for who asks: who that is, only its lease will say.
  if (opened instanceof NotServed && address === undefined) return undefined;
  if (opened instanceof Error) return opened.message;
  if (opened === undefined) return absence(file);
  try {
    const head = Buffer.alloc(Math.min(LOOK_BYTES, opened.size));
    const count = await opened.read(head, 0);
    return architecture === undefined ? undefined : bootFileFault(architecture, head.subarray(0, count));
  } finally {
    await opened.close();
  }
}

/** Images may be added while the imager runs, other files of its tree may not. */
function absence(file: string): string {
  const [room, image, name] = (normalisePath(file) ?? '').split('/').slice(-3);
  return room === 'images' && name !== undefined
    ? `there is no such file here until an image ${image} with it is added`
    : 'there is no such file here';
}
