/** What is recognised by its first bytes of what is given to a kernel. */
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { writeCpio } from '../../imager/images/cpio.ts';
import { look } from '../../imager/images/look.ts';

const COMPRESSED = (how: string) =>
  `an initramfs compressed with ${how}, or another file that is so compressed`;

test.each<[string, string, string, number[] | Buffer]>([
  ['an archive', 'initramfs', 'an initramfs', Buffer.from(writeCpio([]))],
  ['one with checksums', 'initramfs', 'an initramfs', Buffer.from('070702')],
  ['gzip', 'initramfs', 'an initramfs, gzipped', gzipSync(writeCpio([]))],
  ['xz', 'initramfs', COMPRESSED('xz'), [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
  ['zstd', 'initramfs', COMPRESSED('zstd'), [0x28, 0xb5, 0x2f, 0xfd]],
  ['lz4', 'initramfs', COMPRESSED('lz4'), [0x02, 0x21, 0x4c, 0x18]],
  ['bzip2', 'initramfs', COMPRESSED('bzip2'), Buffer.from('BZh9')],
  ['lzo', 'initramfs', COMPRESSED('lzo'), Buffer.from('\x89LZO', 'latin1')],
  ['lzma', 'initramfs', COMPRESSED('lzma'), [0x5d, 0, 0, 0x80]],
  ['a device tree', 'device-tree', 'a device tree', [0xd0, 0x0d, 0xfe, 0xed]],
  ["U-Boot's", 'other', 'a U-Boot legacy image', [0x27, 0x05, 0x19, 0x56]],
  ['a program', 'other', 'an ELF file', Buffer.from('\x7fELF')],
  ['gzipped text', 'other', 'a gzip file', gzipSync('text')],
  ['the first bytes of xz', 'other', 'no boot file known here', [0xfd, 0x37]],
  ['text', 'other', 'no boot file known here', Buffer.from('07070')],
])('what is beside a kernel: %s', (_, format, words, bytes) => {
  expect(look(Buffer.from(bytes))).toEqual({ format, words });
});
