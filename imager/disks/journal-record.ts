/** Records of the journal: changes of the map, in order. Layout: README.md. Pure. */
import { crc32 } from 'node:zlib';
import { SUPERBLOCK_PLACES } from './format.ts';
import type { Segment } from './superblock.ts';

export const RECORD_HEAD = 32;
const CHANGE_HEAD = 12;
export const MAX_RECORD = 32 * 1024;
/** Blocks of one change at most: a record has room for it. */
export const MAX_CHANGE_BLOCKS = 4096;
/** In the place of a block number: the record says where the journal goes on. */
const LINK = 0xffffffff;
export const LINK_SIZE = RECORD_HEAD + CHANGE_HEAD + 8;

/**
 * Blocks from `block` on are `place` and the places after it; or all of them BASE or ZERO. `crcs` has one checksum a
 * block where they are places.
 */
export interface Change {
  block: number;
  count: number;
  place: number;
  crcs: Uint32Array;
}

export const NO_CRCS = new Uint32Array(0);

export interface RecordHead {
  salt: string;
  /** Number of the record: one more than that of the record before it. */
  lsn: number;
  /** Records up to this one, and their data, were durable when this one was written. */
  synced: number;
}

/** Where the next record goes. */
export interface JournalPosition {
  segment: Segment;
  /** Byte in the segment. */
  offset: number;
  /** Its number. */
  lsn: number;
}

/** A record, by its number and the byte of the file behind it. */
export interface Mark {
  lsn: number;
  end: number;
}

/** Bytes that a change of `count` blocks takes. */
export function changeSize(count: number, place: number): number {
  return CHANGE_HEAD + (place < SUPERBLOCK_PLACES ? 0 : 4 * count);
}

/** Puts a change, whose checksums are in `crcs` from `from` on, at `at`; gives the end of it. */
export function putChange(
  bytes: Buffer,
  at: number,
  { block, count, place, crcs }: Change,
  from = 0,
): number {
  bytes.writeUInt32LE(block, at);
  bytes.writeUInt32LE(count, at + 4);
  bytes.writeUInt32LE(place, at + 8);
  const end = at + CHANGE_HEAD;
  if (place < SUPERBLOCK_PLACES) return end;
  // As the pages of the map: in the order of bytes of all machines that Node runs on here.
  bytes.set(new Uint8Array(crcs.buffer, crcs.byteOffset + 4 * from, 4 * count), end);
  return end + 4 * count;
}

/** Completes a record whose changes are at RECORD_HEAD and after. `bytes` is the record. */
export function sealRecord(bytes: Buffer, { salt, lsn, synced }: RecordHead): void {
  bytes.writeUInt32LE(bytes.length, 4);
  bytes.write(salt, 8, 8, 'hex');
  bytes.writeUInt32LE(lsn >>> 0, 16);
  bytes.writeUInt32LE(Math.floor(lsn / 2 ** 32), 20);
  bytes.writeUInt32LE(synced >>> 0, 24);
  bytes.writeUInt32LE(Math.floor(synced / 2 ** 32), 28);
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
}

/** The record that leads to the next segment. */
export function encodeLink(head: RecordHead, next: Segment): Buffer {
  const bytes = Buffer.alloc(LINK_SIZE);
  const at = putChange(bytes, RECORD_HEAD, { block: LINK, count: next.count, place: 0, crcs: NO_CRCS });
  bytes.writeUInt32LE(next.place, at - 4);
  bytes.write(next.salt, at, 8, 'hex');
  sealRecord(bytes, head);
  return bytes;
}

export interface JournalRecord {
  lsn: number;
  synced: number;
  /** Bytes. */
  length: number;
  changes: Change[];
  /** Where the next record is, where that is not right behind. */
  link: Segment | undefined;
}

/**
 * The record at `at` of a segment; undefined where there is none: wrong salt, number or checksum, torn, or changes that
 * cannot be. `lsn` is the number it must have.
 */
export function decodeRecord(
  segment: Buffer,
  at: number,
  salt: string,
  lsn: number,
): JournalRecord | undefined {
  if (at + RECORD_HEAD > segment.length) return undefined;
  const length = segment.readUInt32LE(at + 4);
  if (length < RECORD_HEAD || at + length > segment.length) return undefined;
  const bytes = segment.subarray(at, at + length);
  if (bytes.toString('hex', 8, 16) !== salt) return undefined;
  if (bytes.readUInt32LE(16) + bytes.readUInt32LE(20) * 2 ** 32 !== lsn) return undefined;
  if (crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return undefined;
  const synced = bytes.readUInt32LE(24) + bytes.readUInt32LE(28) * 2 ** 32;
  const record: JournalRecord = { lsn, synced, length, changes: [], link: undefined };
  for (let next = RECORD_HEAD; next < length; ) {
    if (next + CHANGE_HEAD > length) return undefined;
    const block = bytes.readUInt32LE(next);
    const count = bytes.readUInt32LE(next + 4);
    const place = bytes.readUInt32LE(next + 8);
    if (block === LINK) {
      if (next !== RECORD_HEAD || length !== LINK_SIZE || place < SUPERBLOCK_PLACES || count === 0)
        return undefined;
      record.link = { place, count, salt: bytes.toString('hex', next + CHANGE_HEAD, length) };
      return record;
    }
    const end = next + changeSize(count, place);
    if (end > length || count === 0) return undefined;
    const crcs =
      place < SUPERBLOCK_PLACES
        ? NO_CRCS
        : Uint32Array.from({ length: count }, (_, i) => bytes.readUInt32LE(next + CHANGE_HEAD + 4 * i));
    record.changes.push({ block, count, place, crcs });
    next = end;
  }
  return record;
}
