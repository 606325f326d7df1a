/** The registry's log, byte by byte (README.md): records of transactions, one a group that became durable together. Pure. */
import { crc32 } from 'node:zlib';
import { decodeCbor, encodeCbor } from '../../agent/protocol/cbor.ts';
import type { Write } from './buffered.ts';
import { MAX_KEY_BYTES } from './key.ts';
import { copyValue, MAX_DEPTH } from './value.ts';

/** The file's first bytes. */
export const LOG_MAGIC = Buffer.from('BWRLOG1\n', 'latin1');
/** In front of each record, and nowhere else: where the next one begins can be told from bytes that were damaged. */
const RECORD_MAGIC = Buffer.from('BWrc', 'latin1');
/** How the magic begins, and what is written for that in a payload with the magic among its values: never the magic. */
const STEM = 'BWr';
const STUFFED = 'BWr\0';
/** Magic, length of the payload and its CRC-32, little-endian. */
export const RECORD_HEAD = 12;
/** The least that a disk writes whole: records go over zeroes, and any of its sectors may get there before the others. */
const SECTOR = 512;
/** A value and the arrays around it: record, transactions, transaction, write. */
const DEEPEST = MAX_DEPTH + 1 + 4;

/** Transactions that became durable together; the first has revision `first`, each other one more. */
export interface Group {
  first: number;
  transactions: Write[][];
}

/** The log is none, or was damaged. `at`: the byte where. */
export class LogError extends Error {
  readonly at: number;

  constructor(at: number, words: string) {
    super(`at byte ${at}: ${words}`);
    this.at = at;
  }
}

/** The record of transactions that follow each other from revision `first`, each with what it wrote. */
export function encodeGroup(first: number, transactions: readonly (readonly Write[])[]): Uint8Array {
  const payload = withoutMagic(
    encodeCbor([
      first,
      transactions.map((writes) =>
        writes.map(({ written, stored }) => (stored === undefined ? [written] : [written, stored.value])),
      ),
    ]),
  );
  const record = Buffer.allocUnsafe(RECORD_HEAD + payload.length);
  RECORD_MAGIC.copy(record);
  record.writeUInt32LE(payload.length, 4);
  record.writeUInt32LE(crc32(payload), 8);
  record.set(payload, RECORD_HEAD);
  return record;
}

/**
 * What is written of `group`: itself, or as a byte string in which nothing is the magic. A value that looks like a record, within
 * one that was not written to its end, would be taken for one that came behind it.
 */
function withoutMagic(group: Uint8Array): Uint8Array {
  return viewOf(group).includes(RECORD_MAGIC) ? encodeCbor(replaced(group, STEM, STUFFED)) : group;
}

function replaced(bytes: Uint8Array, from: string, to: string): Uint8Array {
  return Buffer.from(viewOf(bytes).toString('latin1').replaceAll(from, to), 'latin1');
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The groups in a log, in order, and where the last whole record ends: what is behind was being written when the process
 * or the machine ended, nobody was told that it is durable. Throws LogError where the log is none, or where a record is
 * damaged that is not the last one. Values share no memory with `bytes`.
 */
export function decodeLog(bytes: Uint8Array): { groups: Group[]; end: number } {
  const log = viewOf(bytes);
  const head = log.subarray(0, LOG_MAGIC.length);
  if (!head.equals(LOG_MAGIC.subarray(0, head.length))) throw new LogError(0, 'it does not begin as a log');
  if (head.length < LOG_MAGIC.length) return { groups: [], end: 0 };
  const groups: Group[] = [];
  let at = LOG_MAGIC.length;
  let next: number | undefined;
  while (at < log.length) {
    const payload = payloadAt(log, at);
    if (payload === undefined) {
      if (isTorn(log, at)) break;
      throw new LogError(at, 'a record is damaged, and others come behind it');
    }
    const group = readGroup(payload, at);
    if (next !== undefined && group.first !== next)
      throw new LogError(at, `revision ${group.first} where ${next} is next`);
    groups.push(group);
    next = group.first + group.transactions.length;
    at += RECORD_HEAD + payload.length;
  }
  return { groups, end: at };
}

/** The payload of the record at `at`, where it is all there and as it was written. */
function payloadAt(log: Buffer, at: number): Buffer | undefined {
  const length = lengthAt(log, at);
  if (length === undefined || at + RECORD_HEAD + length > log.length) return undefined;
  const payload = log.subarray(at + RECORD_HEAD, at + RECORD_HEAD + length);
  return crc32(payload) === log.readUInt32LE(at + 8) ? payload : undefined;
}

function lengthAt(log: Buffer, at: number): number | undefined {
  if (at + RECORD_HEAD > log.length) return undefined;
  if (!log.subarray(at, at + 4).equals(RECORD_MAGIC)) return undefined;
  // Never 0, which would have a checksum of 0: zeroes are what a disk gives that was not written.
  return log.readUInt32LE(at + 4) || undefined;
}

/**
 * Whether the bad record at `at` is the last: a record is written after the one before it is durable, so that a torn one
 * has nothing behind it but zeroes. Where its own head was written in part its length may be too short; a sound record is
 * then one that came behind it, for none is within another.
 */
function isTorn(log: Buffer, at: number): boolean {
  const length = isInOneSector(at + 4) ? lengthAt(log, at) : undefined;
  if (length !== undefined && log.subarray(at + RECORD_HEAD + length).some((byte) => byte !== 0))
    return false;
  for (let found = at; found !== -1; found = log.indexOf(RECORD_MAGIC, found + 1))
    if (payloadAt(log, found) !== undefined) return false;
  return true;
}

/** Whether the four bytes of a length at `at` get to a disk together or not at all. */
function isInOneSector(at: number): boolean {
  return at % SECTOR <= SECTOR - 4;
}

function readGroup(payload: Buffer, at: number): Group {
  try {
    const [first, transactions] = listOf(decodeGroup(payload), 2);
    if (typeof first !== 'number' || !Number.isSafeInteger(first) || first < 1)
      throw new Error(`revision ${first}`);
    const read = listOf(transactions).map((writes, index) =>
      listOf(writes).map((write) => readWrite(write, first + index)),
    );
    if (read.length === 0) throw new Error('a record without transactions');
    return { first, transactions: read };
  } catch (error) {
    throw new LogError(at, `a record that this program cannot read: ${(error as Error).message}`);
  }
}

function decodeGroup(payload: Buffer): unknown {
  const group = decodeCbor(payload, DEEPEST);
  return group instanceof Uint8Array ? decodeCbor(replaced(group, STUFFED, STEM), DEEPEST) : group;
}

function readWrite(write: unknown, revision: number): Write {
  const [written, ...value] = listOf(write);
  if (typeof written !== 'string' || !/^.*\0$/s.test(written) || written.length > MAX_KEY_BYTES)
    throw new Error('a write without a key');
  if (value.length > 1) throw new Error('a write of two values');
  return { written, stored: value.length === 0 ? undefined : { value: copyValue(value[0]), revision } };
}

function listOf(value: unknown, length?: number): unknown[] {
  if (!Array.isArray(value) || (length !== undefined && value.length !== length))
    throw new Error('no list where one has to be');
  return value;
}
