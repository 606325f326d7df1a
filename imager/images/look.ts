/** What a boot file is, by a look at its first bytes, and what is wrong where it should be something else. Pure. */
import { constants, gunzipSync } from 'node:zlib';
import { sizeFault } from './boot-sector.ts';
import { decodeBzImage, isBzImage } from './bzimage.ts';
import { kernelCompression } from './compression.ts';
import { decodeHeader, isNbi } from './nbi/header.ts';
import { faults } from './nbi/layout.ts';
import { loaderFaults } from './nbi/loader.ts';

/** So many bytes are looked at: every header named here lies within. */
export const LOOK_BYTES = 65536;

export interface Look {
  format: 'linux' | 'efi' | 'nbi' | 'boot-sector' | 'initramfs' | 'device-tree' | 'other';
  /** Debian's name of the architecture, where the bytes tell it. */
  arch?: string;
  /** `a Linux kernel for amd64` */
  words: string;
}

/** Machine field of PE files (Microsoft PE format, "Machine Types"), by Debian's names. */
const PE_MACHINES: Record<number, string> = {
  332: 'i386',
  450: 'armhf',
  20580: 'riscv64',
  34404: 'amd64',
  43620: 'arm64',
};

/** What the file that begins with `head` is. Linux kernels that are UEFI programs too count as kernels. */
export function look(head: Uint8Array): Look {
  if (isNbi(head)) return { format: 'nbi', arch: 'amd64', words: 'a tagged network boot image' };
  const kernel = kernelArchitecture(head);
  if (kernel !== undefined) return { format: 'linux', arch: kernel, words: `a Linux kernel for ${kernel}` };
  const unpacked = gunzipHead(head);
  if (unpacked !== undefined) {
    const inner = look(unpacked);
    if (inner.format === 'linux' || inner.format === 'initramfs')
      return { ...inner, words: `${inner.words}, gzipped` };
    return { format: 'other', words: 'a gzip file' };
  }
  const machine = peMachine(head);
  if (machine !== undefined) {
    const arch = PE_MACHINES[machine];
    const words = `a UEFI program for ${arch ?? `machine 0x${machine.toString(16)}`}`;
    return { format: 'efi', words, ...(arch === undefined ? {} : { arch }) };
  }
  if (startsWith(head, 0, '\x7fELF')) return { format: 'other', words: 'an ELF file' };
  if (head[510] === 0x55 && head[511] === 0xaa)
    return { format: 'boot-sector', arch: 'amd64', words: 'a boot sector' };
  return besideKernel(head) ?? { format: 'other', words: 'no boot file known here' };
}

/**
 * What is given to a kernel. Formats: Documentation/driver-api/early-userspace/buffer-format.rst; Devicetree Specification, 5.2;
 * U-Boot's include/image.h. What is compressed is not unpacked.
 */
function besideKernel(head: Uint8Array): Look | undefined {
  if (startsWith(head, 0, '070701') || startsWith(head, 0, '070702'))
    return { format: 'initramfs', words: 'an initramfs' };
  if (startsWith(head, 0, '\xd0\x0d\xfe\xed')) return { format: 'device-tree', words: 'a device tree' };
  if (startsWith(head, 0, '\x27\x05\x19\x56')) return { format: 'other', words: 'a U-Boot legacy image' };
  const compression = kernelCompression(head);
  if (compression === undefined) return undefined;
  return {
    format: 'initramfs',
    words: `an initramfs compressed with ${compression}, or another file that is so compressed`,
  };
}

/** Why `head` is no kernel for `arch`, in words. */
export function kernelFault(head: Uint8Array, arch: string): string | undefined {
  const found = look(head);
  if (found.format !== 'linux') return `the kernel is ${found.words}, not a Linux kernel for ${arch}`;
  if (found.arch !== arch) return `the kernel is ${found.words}, not for ${arch}`;
  if (arch === 'amd64' && !isBzImage(head)) return 'the kernel is gzipped: PC firmware does not unpack it';
  return undefined;
}

/** Debian's name of the architecture a UEFI program is for; undefined where it is none. */
export function efiArchitecture(head: Uint8Array): string | undefined {
  const machine = peMachine(head);
  return machine === undefined ? undefined : (PE_MACHINES[machine] ?? `machine 0x${machine.toString(16)}`);
}

/** Why the file of `bytes` bytes that begins with `head` is no bootable disk or sector, in words. */
export function bootSectorFault(head: Uint8Array, bytes: number): string | undefined {
  const found = look(head);
  if (found.format !== 'boot-sector')
    return `the boot sector is ${found.words}: its bytes 510 and 511 should be 55 AA`;
  return sizeFault(bytes);
}

/**
 * What is wrong with the tagged image of `bytes` bytes that begins with `head`, or why the imager's own loader would not
 * load it, in words. Throws NbiError likewise.
 */
export function nbiFault(head: Uint8Array, bytes: number): string | undefined {
  const header = decodeHeader(head);
  return [...faults(header, bytes), ...loaderFaults(header, bytes)][0];
}

/** Formats: x86 boot.rst; arm64 booting.rst, 4; drivers/firmware/efi/libstub/zboot-header.S; arm/booting.rst. */
function kernelArchitecture(head: Uint8Array): string | undefined {
  if (isBzImage(head)) {
    try {
      return decodeBzImage(head).is64Bit ? 'amd64' : 'i386';
    } catch {
      return undefined;
    }
  }
  if (startsWith(head, 56, 'ARM\x64')) return 'arm64';
  if (startsWith(head, 0, 'MZ') && startsWith(head, 4, 'zimg')) return efiArchitecture(head);
  if (startsWith(head, 36, '\x18\x28\x6f\x01')) return 'armhf';
  return undefined;
}

/** The beginning of what is gzipped in `head`, which may be cut short; undefined where it is no gzip file. */
function gunzipHead(head: Uint8Array): Uint8Array | undefined {
  if (head[0] !== 0x1f || head[1] !== 0x8b) return undefined;
  try {
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 1024 * LOOK_BYTES };
    const inner = gunzipSync(head, options);
    return inner[0] === 0x1f ? new Uint8Array() : inner;
  } catch {
    return undefined;
  }
}

function peMachine(head: Uint8Array): number | undefined {
  if (!startsWith(head, 0, 'MZ') || head.length < 0x40) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const at = view.getUint32(0x3c, true);
  if (at + 6 > head.length || !startsWith(head, at, 'PE\0\0')) return undefined;
  return view.getUint16(at + 4, true);
}

function startsWith(head: Uint8Array, at: number, text: string): boolean {
  return Buffer.from(head.subarray(at, at + text.length)).toString('latin1') === text;
}
