/** The superblock: where a checkpoint's map, generations and journal begin. Layout: README.md. Pure. */
import { crc32 } from 'node:zlib';
import { BLOCK_SIZE, FormatError, MAX_DISK_SIZE, type Pointer, SUPERBLOCK_PLACES } from './format.ts';

const MAGIC = 'BWOVERL2';
const VERSION = 2;
const CRC_AT = BLOCK_SIZE - 4;

/** A run of places that holds journal records. */
export interface Segment {
  place: number;
  /** Places of it. */
  count: number;
  /** 8 random bytes that all of its records carry, as hexadecimal: what lay there before is not taken for them. */
  salt: string;
}

export interface Superblock {
  /** Grows by one with each. */
  sequence: number;
  /** Bytes of the disk. */
  size: number;
  base: { name: string; size: number /** SHA-256, hexadecimal. */; digest: string };
  /** The map; its levels follow from the size. */
  root: Pointer;
  /** Blocks the map names as data, and as zero. */
  blocks: { data: number; zero: number };
  /** The table of generations: `count` places in a row, `rows` of them used. */
  table: Pointer & { count: number; rows: number };
  /** Number of the generation that the map was made from; 0: none. */
  parent: number;
  /** Number the next generation will have. */
  next: number;
  /** Changes of the map since: records from the start of this segment on. */
  journal: Segment & { lsn: number };
}

export function encodeSuperblock(it: Superblock): Buffer {
  const bytes = Buffer.alloc(BLOCK_SIZE);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(BLOCK_SIZE, 12);
  bytes.writeBigUInt64LE(BigInt(it.sequence), 16);
  bytes.writeBigUInt64LE(BigInt(it.size), 24);
  bytes.writeBigUInt64LE(BigInt(it.base.size), 32);
  bytes.write(it.base.digest, 40, 32, 'hex');
  bytes.writeUInt8(it.base.name.length, 72);
  bytes.write(it.base.name, 73, 63, 'latin1');
  const { root, blocks, table, journal } = it;
  const words = [root.place, root.crc, blocks.data, blocks.zero];
  words.push(
    table.place,
    table.crc,
    table.count,
    table.rows,
    it.parent,
    it.next,
    journal.place,
    journal.count,
  );
  for (const [i, word] of words.entries()) bytes.writeUInt32LE(word, 136 + 4 * i);
  bytes.write(journal.salt, 184, 8, 'hex');
  bytes.writeBigUInt64LE(BigInt(journal.lsn), 192);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, CRC_AT)), CRC_AT);
  return bytes;
}

/** Reads a superblock. Throws FormatError which says what is wrong with it. */
export function decodeSuperblock(source: Uint8Array): Superblock {
  if (source.length < BLOCK_SIZE)
    throw new FormatError(`superblock is truncated: ${source.length} of ${BLOCK_SIZE} bytes`);
  const bytes = Buffer.from(source.buffer, source.byteOffset, BLOCK_SIZE);
  if (bytes.toString('latin1', 0, 8) !== MAGIC) throw new FormatError('superblock has a wrong magic');
  if (bytes.readUInt32LE(CRC_AT) !== crc32(bytes.subarray(0, CRC_AT)))
    throw new FormatError('superblock has a wrong checksum');
  const version = bytes.readUInt32LE(8);
  if (version !== VERSION)
    throw new FormatError(`format version ${version} is not known here (${VERSION} is)`);
  const blockSize = bytes.readUInt32LE(12);
  if (blockSize !== BLOCK_SIZE) throw new FormatError(`block size ${blockSize} is not ${BLOCK_SIZE}`);
  const number = (at: number): number => Number(bytes.readBigUInt64LE(at));
  const word = (index: number): number => bytes.readUInt32LE(136 + 4 * index);
  const found: Superblock = {
    sequence: number(16),
    size: number(24),
    base: {
      size: number(32),
      digest: bytes.toString('hex', 40, 72),
      name: bytes.toString('latin1', 73, 73 + Math.min(63, bytes.readUInt8(72))),
    },
    root: { place: word(0), crc: word(1) },
    blocks: { data: word(2), zero: word(3) },
    table: { place: word(4), crc: word(5), count: word(6), rows: word(7) },
    parent: word(8),
    next: word(9),
    journal: { place: word(10), count: word(11), salt: bytes.toString('hex', 184, 192), lsn: number(192) },
  };
  if (!(found.size >= 1 && found.size <= MAX_DISK_SIZE))
    throw new FormatError(`superblock says the disk has ${found.size} bytes`);
  if (found.journal.place < SUPERBLOCK_PLACES || found.journal.count === 0)
    throw new FormatError('superblock names no journal');
  return found;
}

/**
 * The superblock as its two copies tell it: the valid one with the higher sequence number. Both are made durable, one
 * after the other, before anything that only the old one names is used again, so each alone will do. `faults` are what
 * is wrong with a copy that is not valid: it was being written when power failed, or is damaged. Throws FormatError
 * where neither is valid.
 */
export function chooseSuperblock(
  a: Uint8Array,
  b: Uint8Array,
): { superblock: Superblock; copy: 0 | 1; faults: string[] } {
  const faults: string[] = [];
  const read = (bytes: Uint8Array, copy: number): Superblock | undefined => {
    try {
      return decodeSuperblock(bytes);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      faults.push(`copy ${copy}: ${error.message}`);
      return undefined;
    }
  };
  const [first, second] = [read(a, 0), read(b, 1)];
  if (first !== undefined && (second === undefined || first.sequence >= second.sequence))
    return { superblock: first, copy: 0, faults };
  if (second !== undefined) return { superblock: second, copy: 1, faults };
  throw new FormatError(`no valid superblock: ${faults.join('; ')}`);
}
