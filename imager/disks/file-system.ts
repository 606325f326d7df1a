/**
 * How small a device's sectors have to be for what is on it: a kernel mounts no file system whose blocks are smaller than
 * the sectors of its device, and finds a partition table by counting sectors. Pure.
 */
import { BLOCK_SIZE } from './format.ts';

/** Bytes of an image's beginning that tell. */
export const HEAD_LENGTH = 2 * BLOCK_SIZE;

/** Least size of sectors that there is. */
const SECTOR = 512;

/**
 * Bytes of the sectors that fit an image with this beginning, as much of HEAD_LENGTH as it has: a power of two, 512 to
 * 4096, the latter wherever nothing asks for less.
 *
 * ext2, 3, 4: superblock at 1024, magic 0xEF53 at 56, log2 of blocks of 1024 at 24 (Linux, Documentation/filesystems/ext4).
 * XFS: "XFSB" at 0, bytes of a sector, big-endian, at 102 (xfs_format.h, xfs_dsb). GPT: "EFI PART" in the second sector
 * (UEFI, section 5.3.2). FAT and MBR: 0x55 0xAA at 510.
 */
export function sectorSizeOf(head: Uint8Array): number {
  const bytes = Buffer.concat([head, Buffer.alloc(Math.max(0, HEAD_LENGTH - head.length))]);
  if (bytes.readUInt16LE(1024 + 56) === 0xef53)
    return within(1024 * 2 ** Math.min(8, bytes.readUInt32LE(1024 + 24)));
  if (bytes.toString('latin1', 0, 4) === 'XFSB') return within(bytes.readUInt16BE(102));
  if (bytes.toString('latin1', BLOCK_SIZE, BLOCK_SIZE + 8) === 'EFI PART') return BLOCK_SIZE;
  return bytes.readUInt16BE(510) === 0x55aa ? SECTOR : BLOCK_SIZE;
}

/** What the superblock says, as far as it can be. */
function within(size: number): number {
  return Math.min(BLOCK_SIZE, 2 ** Math.floor(Math.log2(Math.max(SECTOR, size))));
}
