/**
 * The `map` file of an overlay, byte for byte. All integers are little-endian.
 *
 *     offset  size  header (4096 bytes, written once when the overlay is made, never again)
 *          0     8  magic "BWOVERLY"
 *          8     4  format version, 1
 *         12     4  block size in bytes, 4096
 *         16     8  size of the disk in bytes
 *         24    32  SHA-256 of the base image's content
 *         56     1  length of the base image's name
 *         57    63  name of the base image, padded with zero bytes
 *        120  3972  zero bytes
 *       4092     4  CRC-32 of bytes 0 to 4091
 *
 * Behind it, page 0 copy A, page 0 copy B, page 1 copy A, ... each in a slot of 4096 bytes:
 *
 *     offset  size  copy of page P: the states of blocks 8192 P to 8192 P + 8191
 *          0     4  magic "BWPG"
 *          4     4  page number P
 *          8     8  sequence number, from 1; grows by one with each write of this page
 *         16  2048  states, 2 bits a block, the first block in the lowest bits: 0 base, 1 data, 2 zero, 3 never
 *       2064     4  CRC-32 of bytes 0 to 2063
 *       2068  2028  unused
 *
 * A slot of zero bytes was never written: sequence number 0, all blocks are the base's.
 *
 * Why two copies: a page is written to the slot that does NOT hold its last durable copy, and counts only once its
 * CRC is complete. A write torn at any byte leaves a slot whose CRC is wrong, and the other copy, which was durable
 * before this flush began, is the page. Blocks that were flushed before are in that copy; blocks of the torn flush
 * read as before it. No order between pages is needed: a flush that wrote half of its pages was not acknowledged.
 */
import { crc32 } from '../../agent/protocol/crc32.ts';

export const BLOCK_SIZE = 4096;
export const SLOT_SIZE = 4096;
export const HEADER_SIZE = 4096;
export const PAGE_STATES_SIZE = 2048;
export const BLOCKS_PER_PAGE = PAGE_STATES_SIZE * 4;
/** Bytes of a slot that carry the copy of a page. */
export const PAGE_RECORD_SIZE = 16 + PAGE_STATES_SIZE + 4;
/** Block numbers stay within 31 bits. */
export const MAX_DISK_SIZE = 2 ** 42;

const HEADER_MAGIC = 'BWOVERLY';
const PAGE_MAGIC = 'BWPG';
const VERSION = 1;
const NEVER_WRITTEN = Buffer.alloc(PAGE_RECORD_SIZE);

/** The map is not what it must be. Nothing of the overlay can be trusted then. */
export class MapError extends Error {}

export interface MapHeader {
  /** Bytes of the disk. */
  size: number;
  baseName: string;
  /** SHA-256 of the base's content, lower-case hexadecimal. */
  baseDigest: string;
}

/** Blocks of a disk of `size` bytes; the last one may be short. */
export function blockCount(size: number): number {
  return Math.ceil(size / BLOCK_SIZE);
}

/** Map pages of a disk of `size` bytes. */
export function pageCount(size: number): number {
  return Math.ceil(blockCount(size) / BLOCKS_PER_PAGE);
}

/** Where copy `slot` (0 or 1) of `page` starts in the map file. */
export function slotOffset(page: number, slot: number): number {
  return HEADER_SIZE + (page * 2 + slot) * SLOT_SIZE;
}

/** Bytes of the whole map file of a disk of `size` bytes. */
export function mapFileSize(size: number): number {
  return slotOffset(pageCount(size), 0);
}

export function encodeHeader(header: MapHeader): Uint8Array {
  const bytes = Buffer.alloc(HEADER_SIZE);
  bytes.write(HEADER_MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(BLOCK_SIZE, 12);
  bytes.writeBigUInt64LE(BigInt(header.size), 16);
  bytes.write(header.baseDigest, 24, 32, 'hex');
  bytes.writeUInt8(header.baseName.length, 56);
  bytes.write(header.baseName, 57, 63, 'latin1');
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_SIZE - 4)), HEADER_SIZE - 4);
  return bytes;
}

/** Reads a header. Throws MapError which says what is wrong with it. */
export function decodeHeader(source: Uint8Array): MapHeader {
  if (source.length < HEADER_SIZE)
    throw new MapError(`map header is truncated: ${source.length} of ${HEADER_SIZE} bytes`);
  const bytes = Buffer.from(source.buffer, source.byteOffset, HEADER_SIZE);
  if (bytes.toString('latin1', 0, 8) !== HEADER_MAGIC) throw new MapError('not an overlay map: wrong magic');
  if (bytes.readUInt32LE(HEADER_SIZE - 4) !== crc32(bytes.subarray(0, HEADER_SIZE - 4)))
    throw new MapError('map header is damaged: wrong CRC');
  const version = bytes.readUInt32LE(8);
  if (version !== VERSION) throw new MapError(`map version ${version} is not known here (${VERSION} is)`);
  const blockSize = bytes.readUInt32LE(12);
  if (blockSize !== BLOCK_SIZE) throw new MapError(`map block size ${blockSize} is not ${BLOCK_SIZE}`);
  return {
    size: Number(bytes.readBigUInt64LE(16)),
    baseDigest: bytes.toString('hex', 24, 56),
    baseName: bytes.toString('latin1', 57, 57 + Math.min(63, bytes.readUInt8(56))),
  };
}

/** A copy of a page as it goes into its slot. `states` has 2048 bytes. */
export function encodePage(page: number, sequence: number, states: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(PAGE_RECORD_SIZE);
  bytes.write(PAGE_MAGIC, 0, 'latin1');
  bytes.writeUInt32LE(page, 4);
  bytes.writeBigUInt64LE(BigInt(sequence), 8);
  bytes.set(states, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, PAGE_RECORD_SIZE - 4)), PAGE_RECORD_SIZE - 4);
  return bytes;
}

export interface PageCopy {
  sequence: number;
  /** 2048 bytes, a view of the slot. */
  states: Uint8Array;
}

/** The copy of `page` in a slot: undefined where the slot holds none (torn, damaged, or another page's). */
export function decodePage(page: number, slot: Uint8Array): PageCopy | undefined {
  const bytes = Buffer.from(slot.buffer, slot.byteOffset, PAGE_RECORD_SIZE);
  const states = bytes.subarray(16, 16 + PAGE_STATES_SIZE);
  if (bytes.equals(NEVER_WRITTEN)) return { sequence: 0, states };
  if (bytes.toString('latin1', 0, 4) !== PAGE_MAGIC || bytes.readUInt32LE(4) !== page) return undefined;
  if (bytes.readUInt32LE(PAGE_RECORD_SIZE - 4) !== crc32(bytes.subarray(0, PAGE_RECORD_SIZE - 4)))
    return undefined;
  if (states.some((four) => (four & (four >> 1) & 0x55) !== 0)) return undefined;
  return { sequence: Number(bytes.readBigUInt64LE(8)), states };
}

/**
 * The page as its two slots tell it: the valid copy with the higher sequence number, and which slot it is in.
 * Throws MapError where neither is valid: that is no torn write but damage.
 */
export function choosePage(
  page: number,
  slotA: Uint8Array,
  slotB: Uint8Array,
): PageCopy & { slot: 0 | 1; torn: boolean } {
  const a = decodePage(page, slotA);
  const b = decodePage(page, slotB);
  if (a === undefined && b === undefined)
    throw new MapError(`map page ${page} is damaged: neither copy has a valid CRC`);
  const torn = a === undefined || b === undefined;
  if (b === undefined || (a !== undefined && a.sequence >= b.sequence)) return { ...a!, slot: 0, torn };
  return { ...b, slot: 1, torn };
}
