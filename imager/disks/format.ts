/**
 * What the parts of an overlay's file are made of (README.md has all of it, byte by byte). The file is a row of
 * *places* of 4096 bytes; places 0 and 1 hold the superblock. The map is a tree of pages of 512 entries; an entry is a
 * place and the CRC-32 of what is there: of a block of the disk at level 0, of a map page above.
 */
import { endianness } from 'node:os';

export const BLOCK_SIZE = 4096;
/** Entries of a map page. */
export const FAN_OUT = 512;
/** Block numbers stay within 31 bits. */
export const MAX_DISK_SIZE = 2 ** 42;
/** What is said of another size. */
export const SIZE_RULE = `a disk has at least 1 and at most ${MAX_DISK_SIZE} bytes`;
/** The places of the superblock's two copies. No entry can mean them, so as entries they say something else: */
export const SUPERBLOCK_PLACES = 2;
/** nothing of the range was ever written, it reads as the base does... */
export const BASE = 0;
/** ...and all of the range reads as zeroes. */
export const ZERO = 1;

/** The file is not what it must be. The message tells what is wrong where. */
export class FormatError extends Error {}

/** Where something is, and the CRC-32 of it. */
export interface Pointer {
  place: number;
  crc: number;
}

/** So many places in a row. */
export interface PlaceRun {
  place: number;
  count: number;
}

// Map pages are used in memory as they are in the file, little-endian.
if (endianness() !== 'LE') throw new Error('overlays need a little-endian machine');

/** Blocks of a disk of `size` bytes; the last one may be short. */
export function blockCount(size: number): number {
  return Math.ceil(size / BLOCK_SIZE);
}

/** Levels of the map of a disk of `blocks` blocks, at least 1: what its root page covers is 512 ** levels blocks. */
export function levelCount(blocks: number): number {
  let levels = 1;
  for (let covered = FAN_OUT; covered < blocks; covered *= FAN_OUT) levels++;
  return levels;
}
