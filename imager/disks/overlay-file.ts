/** An overlay's file that is not open: made, and looked at. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syncPath } from '../storage/durable.ts';
import { type BlockFile, SystemFile } from './block-file.ts';
import { BLOCK_SIZE, FormatError, SUPERBLOCK_PLACES } from './format.ts';
import { SEGMENT_PLACES } from './journal-segments.ts';
import { chooseSuperblock, encodeSuperblock, type Superblock } from './superblock.ts';

/** Name of the file in a disk's folder. */
export const FILE_NAME = 'overlay';

/** The whole file of an overlay nobody has written to: superblock and an empty journal. */
export function emptyOverlay(base: Superblock['base'], size: number, salt: string): Buffer {
  const bytes = encodeSuperblock({
    sequence: 1,
    size,
    base,
    root: { place: 0, crc: 0 },
    blocks: { data: 0, zero: 0 },
    table: { place: 0, crc: 0, count: 0, rows: 0 },
    parent: 0,
    next: 1,
    journal: { place: SUPERBLOCK_PLACES, count: SEGMENT_PLACES, salt, lsn: 1 },
  });
  return Buffer.concat([bytes, bytes, Buffer.alloc(SEGMENT_PLACES * BLOCK_SIZE)]);
}

/** Puts an empty overlay into the folder `dir`. Durable, but for the folder's own name. */
export function writeEmptyOverlay(dir: string, base: Superblock['base'], size: number, salt: string): void {
  writeFileSync(join(dir, FILE_NAME), emptyOverlay(base, size, salt), { flush: true, mode: 0o600 });
  syncPath(dir);
}

/** What the superblock in the folder `dir` says. Throws FormatError, DiskError, and the system's errors. */
export function readSuperblock(dir: string): Superblock {
  const file = new SystemFile(join(dir, FILE_NAME), 'r');
  try {
    return superblockIn(file);
  } finally {
    file.close();
  }
}

/** What the superblock of an open file says. Throws FormatError, DiskError. */
export function superblockIn(file: BlockFile): Superblock {
  if (file.size() < SUPERBLOCK_PLACES * BLOCK_SIZE)
    throw new FormatError(`its file has ${file.size()} bytes`);
  return chooseSuperblock(...superblockCopies(file)).superblock;
}

/** Both copies of the superblock of an open file, one of them empty where it cannot be read. Throws DiskError where neither can. */
export function superblockCopies(file: BlockFile): [Buffer, Buffer] {
  const both = Buffer.alloc(SUPERBLOCK_PLACES * BLOCK_SIZE);
  const [first, second] = [both.subarray(0, BLOCK_SIZE), both.subarray(BLOCK_SIZE)];
  try {
    file.readNow(both, 0);
    return [first, second];
  } catch (error) {
    const alone = (copy: Buffer, place: number): Buffer => {
      try {
        file.readNow(copy, place * BLOCK_SIZE);
        return copy;
      } catch {
        return Buffer.alloc(0);
      }
    };
    const [a, b] = [alone(first, 0), alone(second, 1)];
    if (a.length + b.length === 0) throw error;
    return [a, b];
  }
}
