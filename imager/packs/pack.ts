/**
 * A pack: blocks that a boot reads, in the order of the trace, in one piece. BASES/NAME.pack has those of a base image;
 * what a node is sent has the same form, with its own disk's content. All integers little-endian:
 *
 *     offset  size
 *          0     8  magic "BWPACK01"
 *          8     4  CRC-32 of bytes 12 to the end of the checksums
 *         12     4  block size in bytes, 4096
 *         16     8  size of the disk in bytes
 *         24    32  SHA-256 of the base image
 *         56     4  CRC-32 of the trace it was made from (bytes 8 to 11 of that)
 *         60     4  number of runs R, at most 16384
 *         64     4  number of blocks with content B, at most 16384
 *         68   8 R  runs: first block; number of blocks, with bit 31 set where all of them are zeroes
 *       +8 R   4 B  checksums: CRC-32 of each block with content, in order
 *             4096 B  content of those blocks, in order; the disk's last block is filled up with zeroes
 *
 * No block is in two runs. A reader checks a block's checksum before it uses the block. Blocks are not compressed: on
 * the base of the rigs deflate level 1 takes them to about half, and inflating in an emulated or small node takes
 * longer than a network of 100 Mbit/s needs for the other half (README.md).
 */
import { crc32 } from 'node:zlib';
import { type BaseImage, BLOCK_SIZE, MAX_TRACED_BLOCKS } from './trace.ts';

const MAGIC = 'BWPACK01';
const CRC_END = 12;
export const PACK_HEADER_SIZE = 68;
const RUN_SIZE = 8;
const ZERO_RUN = 0x80000000;

export interface PackRun {
  block: number;
  count: number;
  /** All of it reads as zeroes, and it has no content in the pack. */
  zero: boolean;
}

export interface PackIndex extends BaseImage {
  /** CRC-32 of the trace it was made from. */
  trace: number;
  runs: readonly PackRun[];
  /** CRC-32 of each block with content. */
  checksums: Uint32Array;
}

/** The bytes are no pack, or a damaged one. */
export class PackError extends Error {}

/** Where the content begins: bytes. */
export function contentOffset(runs: number, stored: number): number {
  return PACK_HEADER_SIZE + runs * RUN_SIZE + stored * 4;
}

/** Everything before the content. */
export function encodeIndex({ size, digest, trace, runs, checksums }: PackIndex): Buffer {
  const bytes = Buffer.alloc(contentOffset(runs.length, checksums.length));
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(BLOCK_SIZE, 12);
  bytes.writeBigUInt64LE(BigInt(size), 16);
  bytes.write(digest, 24, 'hex');
  bytes.writeUInt32LE(trace, 56);
  bytes.writeUInt32LE(runs.length, 60);
  bytes.writeUInt32LE(checksums.length, 64);
  let at = PACK_HEADER_SIZE;
  for (const { block, count, zero } of runs) {
    bytes.writeUInt32LE(block, at);
    bytes.writeUInt32LE((zero ? count | ZERO_RUN : count) >>> 0, at + 4);
    at += RUN_SIZE;
  }
  for (const [i, checksum] of checksums.entries()) bytes.writeUInt32LE(checksum, at + i * 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(CRC_END)), 8);
  return bytes;
}

/** How many bytes come before the content, by the first PACK_HEADER_SIZE. Throws PackError where that is no pack. */
export function indexLength(header: Buffer): number {
  if (header.length < PACK_HEADER_SIZE || header.toString('latin1', 0, 8) !== MAGIC)
    throw new PackError('no pack: it does not begin with its magic number');
  const [runs, stored] = [header.readUInt32LE(60), header.readUInt32LE(64)];
  if (runs > MAX_TRACED_BLOCKS || stored > MAX_TRACED_BLOCKS)
    throw new PackError(`a pack of ${runs} runs and ${stored} blocks is too large`);
  return contentOffset(runs, stored);
}

/** Reads all that is before the content. Throws PackError where it is not what the table above says. */
export function decodeIndex(bytes: Buffer): PackIndex {
  if (indexLength(bytes) !== bytes.length) throw new PackError('the index of the pack is cut off');
  if (crc32(bytes.subarray(CRC_END)) !== bytes.readUInt32LE(8))
    throw new PackError('the pack is damaged: the checksum of its index is wrong');
  if (bytes.readUInt32LE(12) !== BLOCK_SIZE) throw new PackError('the pack has blocks of another size');
  const stored = bytes.readUInt32LE(64);
  const runs = Array.from({ length: bytes.readUInt32LE(60) }, (_, i) => {
    const word = bytes.readUInt32LE(PACK_HEADER_SIZE + i * RUN_SIZE + 4);
    const block = bytes.readUInt32LE(PACK_HEADER_SIZE + i * RUN_SIZE);
    return { block, count: word & ~ZERO_RUN, zero: word >= ZERO_RUN };
  });
  const size = Number(bytes.readBigUInt64LE(16));
  checkRuns(runs, stored, Math.ceil(size / BLOCK_SIZE));
  const first = PACK_HEADER_SIZE + runs.length * RUN_SIZE;
  return {
    size,
    digest: bytes.toString('hex', 24, 56),
    trace: bytes.readUInt32LE(56),
    runs,
    checksums: Uint32Array.from({ length: stored }, (_, i) => bytes.readUInt32LE(first + i * 4)),
  };
}

function checkRuns(runs: readonly PackRun[], stored: number, blocks: number): void {
  let end = 0;
  for (const { block, count } of [...runs].sort((a, b) => a.block - b.block)) {
    if (count === 0 || block < end) throw new PackError(`the pack has block ${block} twice, or an empty run`);
    end = block + count;
  }
  if (end > blocks) throw new PackError(`the pack has block ${end - 1} of ${blocks}`);
  const content = runs.reduce((sum, { count, zero }) => sum + (zero ? 0 : count), 0);
  if (content !== stored) throw new PackError(`the pack has ${stored} blocks of content for ${content}`);
}

/** Runs of a pack, grown block by block, or run by run where they follow each other and are of a kind. */
export class PackRuns {
  readonly runs: PackRun[] = [];
  stored = 0;

  add(block: number, count: number, zero: boolean): void {
    const last = this.runs.at(-1);
    if (last !== undefined && last.zero === zero && last.block + last.count === block) last.count += count;
    else this.runs.push({ block, count, zero });
    if (!zero) this.stored += count;
  }
}
