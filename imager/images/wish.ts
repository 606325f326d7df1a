/** What somebody wants added to the boot table, and whether the files' bytes agree with it. Pure. */
import type { Piece } from './copy.ts';
import {
  type Architecture,
  checkArgs,
  checkName,
  type FileName,
  ImageError,
  type ImageKind,
} from './image.ts';
import { bootSectorFault, efiArchitecture, kernelFault, nbiFault } from './look.ts';
import { NbiError } from './nbi/header.ts';

/** Paths are of files to copy: exactly one of kernel (with an initrd), efi, bootSector and nbi. */
export interface NewImage {
  name: string;
  /** Needed for a kernel; for other kinds the file tells it, and another one given here is refused. */
  arch?: Architecture;
  kernel?: string;
  initrd?: string;
  dtb?: string;
  efi?: string;
  bootSector?: string;
  /** Also what it is to be put together of. */
  nbi?: string | readonly Piece[];
  /** Kernel arguments, or a UEFI program's load options. */
  args?: string;
}

export interface ImagePlan {
  kind: ImageKind;
  /** The file that says what the image is for. */
  main: FileName;
  args: string;
  /** Name in the table, and the path to copy from or what the file is put together of. */
  sources: [FileName, string | readonly Piece[]][];
}

const KINDS = [
  { kind: 'linux', wish: 'kernel', file: 'kernel' },
  { kind: 'efi', wish: 'efi', file: 'boot.efi' },
  { kind: 'boot-sector', wish: 'bootSector', file: 'boot.img' },
  { kind: 'nbi', wish: 'nbi', file: 'boot.nbi' },
] as const;

/** What adding the image takes. Throws ImageError where name, arguments or the choice of files cannot be right. */
export function planOf(image: NewImage): ImagePlan {
  checkName(image.name);
  const { initrd, dtb, args = '' } = image;
  checkArgs(args);
  const [found, ...others] = KINDS.filter(({ wish }) => image[wish] !== undefined);
  if (found === undefined || others.length > 0)
    throw new ImageError(
      'an image is one of kernel, UEFI program, boot sector and tagged image: give exactly one',
    );
  const { kind, file: main } = found;
  const sources: ImagePlan['sources'] = [[main, image[found.wish]!]];
  if (kind === 'linux') {
    if (initrd === undefined) throw new ImageError('a kernel needs an initrd');
    if (image.arch !== 'arm64' && image.arch !== 'amd64')
      throw new ImageError(
        image.arch === undefined
          ? 'a kernel needs an architecture: arm64 or amd64'
          : `architecture ${JSON.stringify(image.arch)} is not known: arm64 or amd64`,
      );
    sources.push(['initrd', initrd]);
    if (dtb !== undefined) sources.push(['dtb', dtb]);
  } else {
    if (initrd !== undefined || dtb !== undefined)
      throw new ImageError(`an image of the kind ${kind} has no initrd and no device tree beside it`);
    if (args !== '' && kind !== 'efi')
      throw new ImageError(`an image of the kind ${kind} takes no arguments: they are part of the file`);
  }
  return { kind, main, args, sources };
}

/**
 * The architecture the image is for, as its main file says, which has `bytes` bytes and begins with `head`. Throws
 * ImageError where the file is not what the image should be.
 */
export function architectureOf(
  image: NewImage,
  kind: ImageKind,
  head: Uint8Array,
  bytes: number,
): Architecture {
  const refuse = (fault: string | undefined): void => {
    if (fault !== undefined) throw new ImageError(`image ${image.name}: ${fault}`);
  };
  const { arch } = image;
  switch (kind) {
    case 'linux':
      refuse(kernelFault(head, arch!));
      return arch!;
    case 'efi': {
      const found = efiArchitecture(head);
      if (found === undefined) refuse('the file is no UEFI program: it is not in the PE format');
      if (found !== 'arm64' && found !== 'amd64')
        refuse(`the UEFI program is for ${found}, not arm64 or amd64`);
      return agreed(image, found as Architecture);
    }
    case 'boot-sector':
      refuse(bootSectorFault(head, bytes));
      return agreed(image, 'amd64');
    case 'nbi':
      try {
        refuse(nbiFault(head, bytes));
      } catch (error) {
        if (error instanceof NbiError) refuse(error.message);
        throw error;
      }
      return agreed(image, 'amd64');
  }
}

function agreed({ name, arch }: NewImage, found: Architecture): Architecture {
  if (arch !== undefined && arch !== found)
    throw new ImageError(`image ${name}: the file is for ${found}, not for ${arch}`);
  return found;
}
