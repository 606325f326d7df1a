/**
 * A trace: which blocks of a base image boots read, in the order they read them first. BASES/NAME.trace, all integers
 * little-endian:
 *
 *     offset  size
 *          0     8  magic "BWTRACE1"
 *          8     4  CRC-32 of all that follows
 *         12     4  block size in bytes, 4096
 *         16     8  size of the image in bytes
 *         24    32  SHA-256 of the image
 *         56     4  boots it is of: those that added to it
 *         60     4  number of runs R, at most 16384
 *         64   8 R  runs: first block, number of blocks (4 bytes each); no block twice, at most 16384 blocks in all
 */
import { crc32 } from 'node:zlib';

export const BLOCK_SIZE = 4096;
/** 64 MiB: a node keeps a pack in memory while it boots. */
export const MAX_TRACED_BLOCKS = 16_384;
/** A boot that reads fewer blocks than this besides is the same boot: not worth another pack. */
export const WORTH_ADDING = 16;

const MAGIC = 'BWTRACE1';
const CRC_END = 12;
const HEADER_SIZE = 64;
const RUN_SIZE = 8;

/** `count` blocks of 4 KiB from number `block` on. */
export interface Run {
  block: number;
  count: number;
}

/** The image a trace or a pack is of. */
export interface BaseImage {
  /** Bytes. */
  size: number;
  /** SHA-256, lower-case hexadecimal. */
  digest: string;
}

export interface Trace extends BaseImage {
  boots: number;
  runs: readonly Run[];
}

/** The bytes are no trace of this image, or a damaged one. */
export class TraceError extends Error {}

export function blocksIn(runs: readonly Run[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0);
}

export function encodeTrace({ size, digest, boots, runs }: Trace): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE + runs.length * RUN_SIZE);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(BLOCK_SIZE, 12);
  bytes.writeBigUInt64LE(BigInt(size), 16);
  bytes.write(digest, 24, 'hex');
  bytes.writeUInt32LE(boots, 56);
  bytes.writeUInt32LE(runs.length, 60);
  for (const [i, { block, count }] of runs.entries()) {
    bytes.writeUInt32LE(block, HEADER_SIZE + i * RUN_SIZE);
    bytes.writeUInt32LE(count, HEADER_SIZE + i * RUN_SIZE + 4);
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(CRC_END)), 8);
  return bytes;
}

/** Throws TraceError where the bytes are not what the table above says, or the trace is of another image. */
export function decodeTrace(bytes: Buffer, image: BaseImage): Trace {
  if (bytes.length < HEADER_SIZE || bytes.toString('latin1', 0, 8) !== MAGIC)
    throw new TraceError('no trace: it does not begin with its magic number');
  const count = bytes.readUInt32LE(60);
  if (bytes.length !== HEADER_SIZE + count * RUN_SIZE)
    throw new TraceError(`a trace of ${count} runs has not ${bytes.length} bytes`);
  if (crc32(bytes.subarray(CRC_END)) !== bytes.readUInt32LE(8))
    throw new TraceError('the trace is damaged: its checksum is wrong');
  const size = Number(bytes.readBigUInt64LE(16));
  const digest = bytes.toString('hex', 24, 56);
  if (bytes.readUInt32LE(12) !== BLOCK_SIZE || size !== image.size || digest !== image.digest)
    throw new TraceError('the trace is of another image');
  const runs = Array.from({ length: count }, (_, i) => ({
    block: bytes.readUInt32LE(HEADER_SIZE + i * RUN_SIZE),
    count: bytes.readUInt32LE(HEADER_SIZE + i * RUN_SIZE + 4),
  }));
  checkRuns(runs, size);
  return { size, digest, boots: bytes.readUInt32LE(56), runs };
}

/** A checksum says that the bytes are those written, not that they make sense. */
function checkRuns(runs: readonly Run[], size: number): void {
  const blocks = Math.ceil(size / BLOCK_SIZE);
  if (blocksIn(runs) > MAX_TRACED_BLOCKS) throw new TraceError('the trace has too many blocks');
  const sorted = [...runs].sort((a, b) => a.block - b.block);
  let end = 0;
  for (const { block, count } of sorted) {
    if (count === 0 || block < end)
      throw new TraceError(`the trace has block ${block} twice, or an empty run`);
    end = block + count;
  }
  if (end > blocks) throw new TraceError(`the trace has block ${end - 1} of ${blocks}`);
}

/**
 * What `runs`, which one boot read, make of the trace there is. Blocks it has keep their place, for their order is that
 * of a boot; new ones follow as they were read, up to the bound. A trace only grows: a base never changes, and a node
 * that is given a pack asks the server for nothing that is in it, so what it does not ask for tells nothing. Undefined
 * where the trace stays as it is.
 */
export function grown(stored: Trace | undefined, image: BaseImage, runs: readonly Run[]): Trace | undefined {
  const before = stored?.runs ?? [];
  const known = new Set(before.flatMap(blocksOf));
  const list = new RunList(before);
  for (const block of runs.flatMap(blocksOf)) {
    if (known.size >= MAX_TRACED_BLOCKS) break;
    if (known.has(block)) continue;
    known.add(block);
    list.add(block);
  }
  const added = known.size - blocksIn(before);
  if (added === 0 || (stored !== undefined && added < WORTH_ADDING)) return undefined;
  return { size: image.size, digest: image.digest, boots: (stored?.boots ?? 0) + 1, runs: list.runs };
}

export function blocksOf({ block, count }: Run): number[] {
  return Array.from({ length: count }, (_, i) => block + i);
}

/** Blocks in order, written as runs. */
export class RunList {
  readonly runs: Run[];

  constructor(runs: readonly Run[] = []) {
    this.runs = runs.map((run) => ({ ...run }));
  }

  add(block: number): void {
    const last = this.runs.at(-1);
    if (last !== undefined && last.block + last.count === block) last.count++;
    else this.runs.push({ block, count: 1 });
  }
}
