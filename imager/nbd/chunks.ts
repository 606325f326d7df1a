/** Structured replies ("Structured reply chunk message", "Structured reply types"), values -> bytes. Pure. Big-endian. */
import { CMD_FLAG, type Request } from './codec.ts';

const CHUNK_MAGIC = 0x668e33ef;
const DONE = 1;
const TYPE = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

export const CHUNK_SIZE = 20;
/** Bytes of an OFFSET_DATA chunk before its data. */
export const DATA_CHUNK_SIZE = CHUNK_SIZE + 8;
export const HOLE_CHUNK_SIZE = CHUNK_SIZE + 12;
/** Bytes of a message to people; the protocol allows 4096. */
const MAX_MESSAGE = 512;

/** Writes the header of a chunk with `length` bytes of payload to `at`. */
function encodeChunk(
  bytes: Buffer,
  at: number,
  request: Request,
  type: number,
  done: boolean,
  length: number,
): void {
  bytes.writeUInt32BE(CHUNK_MAGIC, at);
  bytes.writeUInt16BE(done ? DONE : 0, at + 4);
  bytes.writeUInt16BE(type, at + 6);
  bytes.writeUInt32BE(request.cookieHigh, at + 8);
  bytes.writeUInt32BE(request.cookieLow, at + 12);
  bytes.writeUInt32BE(length, at + 16);
}

function encodeOffset(bytes: Buffer, at: number, offset: number): void {
  bytes.writeUInt32BE(Math.floor(offset / 2 ** 32), at);
  bytes.writeUInt32BE(offset >>> 0, at + 4);
}

/** Writes a NBD_REPLY_TYPE_NONE chunk, 20 bytes: success, and nothing to say. */
export function encodeNone(bytes: Buffer, request: Request): void {
  encodeChunk(bytes, 0, request, TYPE.none, true, 0);
}

/** A part of the answer to a READ: data that is sent, or a hole that is named. */
export interface Piece {
  hole: boolean;
  /** Of the disk, bytes. */
  offset: number;
  length: number;
  /** Where its chunk is in the reply. */
  at: number;
}

/**
 * How a READ is answered: pieces in order and the bytes they take. `runs` are what is known of the range from its
 * beginning; what they leave over counts as data. Holes shorter than `worth` are not named. With NBD_CMD_FLAG_DF, one
 * piece.
 */
export function planRead(
  request: Request,
  runs: readonly { length: number; state: 'data' | 'zero' | 'hole' }[],
  worth: number,
): { pieces: Piece[]; size: number } {
  const { offset, length, flags } = request;
  const known = runs.reduce((sum, run) => sum + run.length, 0);
  const zero = runs.map((run) => ({ hole: run.state !== 'data', length: run.length }));
  if (length > known) zero.push({ hole: false, length: length - known });
  const worthy = joined(zero).map((run) => ({ ...run, hole: run.hole && run.length >= worth }));
  let [start, size] = [offset, 0];
  const pieces = joined(worthy).map((run): Piece => {
    const piece = { ...run, offset: start, at: size };
    start += run.length;
    size += run.hole ? HOLE_CHUNK_SIZE : DATA_CHUNK_SIZE + run.length;
    return piece;
  });
  if ((flags & CMD_FLAG.df) !== 0 && pieces.length > 1)
    return { pieces: [{ hole: false, offset, length, at: 0 }], size: DATA_CHUNK_SIZE + length };
  return { pieces, size };
}

/** The same runs with neighbours that are alike as one. */
function joined(runs: readonly { hole: boolean; length: number }[]): { hole: boolean; length: number }[] {
  const result: { hole: boolean; length: number }[] = [];
  for (const run of runs) {
    const last = result.at(-1);
    if (last?.hole === run.hole) last.length += run.length;
    else result.push({ ...run });
  }
  return result;
}

/** Writes all of a piece's chunk but its data. The last of a reply ends it. */
export function encodePiece(bytes: Buffer, request: Request, piece: Piece, last: boolean): void {
  const { hole, offset, length, at } = piece;
  encodeChunk(bytes, at, request, hole ? TYPE.offsetHole : TYPE.offsetData, last, hole ? 12 : 8 + length);
  encodeOffset(bytes, at + CHUNK_SIZE, offset);
  if (hole) bytes.writeUInt32BE(length, at + CHUNK_SIZE + 8);
}

/** What a context says of a run of bytes. */
export interface Status {
  length: number;
  flags: number;
}

/** A whole NBD_REPLY_TYPE_BLOCK_STATUS chunk. */
export function encodeBlockStatus(
  request: Request,
  id: number,
  statuses: readonly Status[],
  last: boolean,
): Buffer {
  const payload = 4 + 8 * statuses.length;
  const bytes = Buffer.alloc(CHUNK_SIZE + payload);
  encodeChunk(bytes, 0, request, TYPE.blockStatus, last, payload);
  bytes.writeUInt32BE(id, CHUNK_SIZE);
  statuses.forEach(({ length, flags }, i) => {
    bytes.writeUInt32BE(length, CHUNK_SIZE + 4 + 8 * i);
    bytes.writeUInt32BE(flags, CHUNK_SIZE + 8 + 8 * i);
  });
  return bytes;
}

/**
 * A whole reply that tells of an error in words, cut to 512 bytes: NBD_REPLY_TYPE_ERROR, or NBD_REPLY_TYPE_ERROR_OFFSET
 * where it is known at which byte of the disk.
 */
export function encodeError(request: Request, errno: number, message: string, offset?: number): Buffer {
  let words = Buffer.from(message);
  // A character that was cut in two would be no UTF-8.
  for (let end = MAX_MESSAGE; words.length > MAX_MESSAGE; end--)
    if ((words[end]! & 0xc0) !== 0x80) words = words.subarray(0, end);
  const payload = 6 + words.length + (offset === undefined ? 0 : 8);
  const bytes = Buffer.alloc(CHUNK_SIZE + payload);
  encodeChunk(bytes, 0, request, offset === undefined ? TYPE.error : TYPE.errorOffset, true, payload);
  bytes.writeUInt32BE(errno, CHUNK_SIZE);
  bytes.writeUInt16BE(words.length, CHUNK_SIZE + 4);
  bytes.set(words, CHUNK_SIZE + 6);
  if (offset !== undefined) encodeOffset(bytes, CHUNK_SIZE + 6 + words.length, offset);
  return bytes;
}
