/**
 * The header of an x86 Linux kernel, as far as loading one needs it: Documentation/x86/boot.rst, "The Real-Mode Kernel
 * Header". Numbers are little-endian. Pure.
 */

/** What is wrong with a kernel, in words. */
export class KernelError extends Error {}

export interface BzImage {
  /** Version of the boot protocol: 0x20f is 2.15. */
  protocol: number;
  /** Boot sector and setup code; the rest of the file is the protected-mode kernel. */
  setupBytes: number;
  /** Has a 64-bit entry point (known from protocol 2.12 on). */
  is64Bit: boolean;
  /** The longest command line it takes, without the NUL (protocol 2.06). */
  commandLineBytes: number;
  /** Where it unpacks itself, and how much memory from there on it needs before it looks at the memory map (2.10). */
  preferredAddress: number;
  initBytes: number;
  /** The highest address the initrd's last byte may have (2.03). */
  initrdMax: number;
}

/** Offsets in the file that the boot loader writes. */
export const SETUP = {
  typeOfLoader: 0x210,
  loadFlags: 0x211,
  ramdiskImage: 0x218,
  ramdiskSize: 0x21c,
  heapEnd: 0x224,
  commandLine: 0x228,
} as const;
/** Bit of loadFlags: heapEnd is valid. */
export const CAN_USE_HEAP = 0x80;

const HEADER_END = 0x268;

/** True where `bytes` begin as an x86 kernel does: boot sector's 55 AA, and "HdrS" behind it. */
export function isBzImage(bytes: Uint8Array): boolean {
  return bytes[0x1fe] === 0x55 && bytes[0x1ff] === 0xaa && textAt(bytes, 0x202, 4) === 'HdrS';
}

/** Throws KernelError where it is no kernel, cut short, or older than protocol 2.10 (Linux 2.6.31). */
export function decodeBzImage(bytes: Uint8Array): BzImage {
  if (!isBzImage(bytes)) throw new KernelError('no x86 Linux kernel: no HdrS at 0x202');
  if (bytes.length < HEADER_END) throw new KernelError('the kernel ends within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const protocol = view.getUint16(0x206, true);
  if (protocol < 0x20a)
    throw new KernelError(
      `the kernel speaks boot protocol ${protocol >> 8}.${protocol & 0xff}; 2.10 (Linux 2.6.31) is needed`,
    );
  if ((bytes[SETUP.loadFlags]! & 1) === 0)
    throw new KernelError('the kernel is a zImage, to be loaded below 1 MiB');
  return {
    protocol,
    setupBytes: ((bytes[0x1f1] || 4) + 1) * 512,
    is64Bit: protocol < 0x20c || (view.getUint16(0x236, true) & 1) !== 0,
    commandLineBytes: view.getUint32(0x238, true),
    preferredAddress: Number(view.getBigUint64(0x258, true)),
    initBytes: view.getUint32(0x260, true),
    initrdMax: view.getUint32(0x22c, true),
  };
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.subarray(at, at + length)).toString('latin1');
}
