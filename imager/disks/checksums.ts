/** Checksums of stored blocks: all of a range in one call of host.c (4 to 24 us for 256 KiB), where it is built; else 47 us. */
import { crc32 } from 'node:zlib';
import { BLOCK_SIZE } from './format.ts';
import { checksumsHere, firstWrongHere } from './host.ts';
import type { PageWords } from './map-page.ts';

/** The CRC-32 (as in zlib) of each block of a range of whole ones, in `crcs`, which has as many. */
export function checksums(
  blocks: Uint8Array,
  crcs: Uint32Array = new Uint32Array(blocks.length / BLOCK_SIZE),
): Uint32Array {
  if (checksumsHere(blocks, crcs)) return crcs;
  for (let i = 0; i < crcs.length; i++)
    crcs[i] = crc32(blocks.subarray(i * BLOCK_SIZE, (i + 1) * BLOCK_SIZE));
  return crcs;
}

/**
 * The first block, counted from 0, that has not the checksum that its entry of a leaf has (map-page.ts), the first one's that
 * with the number `from`; -1 where all have.
 */
export function firstWrong(blocks: Uint8Array, entries: PageWords, from: number): number {
  const told = firstWrongHere(blocks, entries, from);
  if (told !== undefined) return told;
  return checksums(blocks).findIndex((crc, i) => crc !== entries[2 * (from + i) + 1]);
}
