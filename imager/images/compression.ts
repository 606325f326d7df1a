/** How an initramfs, or a kernel module, is compressed: by its first bytes, and by the machine's tools where Node has none. */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { command } from './command.ts';

export const COMPRESSIONS = ['none', 'gzip', 'xz', 'zstd'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** What the kernel's configuration must have for an initramfs that is so compressed (usr/Kconfig). */
export const KERNEL_OPTION: Record<Exclude<Compression, 'none'>, string> = {
  gzip: 'CONFIG_RD_GZIP',
  xz: 'CONFIG_RD_XZ',
  zstd: 'CONFIG_RD_ZSTD',
};

const MAGIC: [Exclude<Compression, 'none'>, number[]][] = [
  ['gzip', [0x1f, 0x8b]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

/** What else the kernel unpacks (lib/decompress.c), which is not made or unpacked here. */
const OTHER_MAGIC: [string, number[]][] = [
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lzo', [0x89, 0x4c, 0x5a, 0x4f]],
  ['lzma', [0x5d, 0x00, 0x00]],
];

/** What `bytes` begin as. */
export function compressionOf(bytes: Uint8Array): Compression {
  return MAGIC.find(([, magic]) => beginsWith(bytes, magic))?.[0] ?? 'none';
}

/** The name of what `bytes` are compressed with, as far as the kernel can unpack an initramfs of it. */
export function kernelCompression(bytes: Uint8Array): string | undefined {
  return [...MAGIC, ...OTHER_MAGIC].find(([, magic]) => beginsWith(bytes, magic))?.[0];
}

function beginsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, at) => bytes[at] === byte);
}

/** The same bytes each time: no times, no names, one thread. Rejects with CommandError where the tool is missing. */
export async function compress(bytes: Uint8Array, how: Compression): Promise<Uint8Array> {
  switch (how) {
    case 'none':
      return bytes;
    case 'gzip':
      return promisify(gzip)(bytes, { level: 9 });
    case 'xz':
      // The kernel's decoder knows no other check (Documentation/staging/xz.rst), and allocates the whole dictionary
      // before anything of the initramfs runs: of -9 alone that would be 64 MiB.
      return command(['xz', '--lzma2=preset=9,dict=8MiB', '--threads=1', '--check=crc32', '-c'], {
        input: bytes,
        package: 'xz-utils',
      });
    case 'zstd':
      return command(['zstd', '-q', '-19', '-T1', '-c'], { input: bytes, package: 'zstd' });
  }
}

/** Rejects where `bytes` are damaged, or more than `maxBytes` come of them. */
export async function decompress(bytes: Uint8Array, how: Compression, maxBytes: number): Promise<Uint8Array> {
  switch (how) {
    case 'none':
      return bytes;
    case 'gzip':
      return promisify(gunzip)(bytes, { maxOutputLength: maxBytes });
    case 'xz':
      return command(['xz', '-dc'], { input: bytes, maxBytes, package: 'xz-utils' });
    case 'zstd':
      return command(['zstd', '-q', '-dc'], { input: bytes, maxBytes, package: 'zstd' });
  }
}
