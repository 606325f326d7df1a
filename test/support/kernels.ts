/** Bytes that pass for Linux kernels where nobody starts them. */
import { linuxNbi } from '../../imager/images/nbi/linux.ts';

/** Gives `bytes` the marks of a kernel for amd64 (x86 boot.rst; at least 0x268 bytes) or arm64 (booting.rst), in place. */
export function asKernel(arch: 'amd64' | 'arm64', bytes: Buffer): Buffer {
  if (arch === 'arm64') {
    bytes.write('ARM\x64', 56, 'latin1');
    return bytes;
  }
  bytes[0x1f1] = 0; // setup_sects: 4
  bytes.writeUInt16LE(0xaa55, 0x1fe);
  bytes.write('HdrS', 0x202, 'latin1');
  bytes.writeUInt16LE(0x20f, 0x206); // protocol 2.15
  bytes[0x211] = 1; // loadflags: LOADED_HIGH
  bytes.writeUInt32LE(0x7fffffff, 0x22c); // initrd_addr_max
  bytes.writeUInt16LE(1, 0x236); // xloadflags: XLF_KERNEL_64
  bytes.writeUInt32LE(2047, 0x238); // cmdline_size
  bytes.writeBigUInt64LE(0x1000000n, 0x258); // pref_address
  bytes.writeUInt32LE(0x2000000, 0x260); // init_size
  return bytes;
}

/** The whole of a tagged image that boots Linux. */
export function wholeNbi(parts: { kernel: Uint8Array; initrd: Uint8Array; args: string }): Buffer {
  const { kernel, initrd, args } = parts;
  const sizes = { kernel: { head: kernel, bytes: kernel.length }, initrd: { bytes: initrd.length } };
  const { head, kernelFrom } = linuxNbi({ ...sizes, args });
  return Buffer.concat([head, kernel.subarray(kernelFrom), initrd]);
}
