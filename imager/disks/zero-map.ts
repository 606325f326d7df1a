/**
 * Which blocks of a base image are all zeroes, found when it was added. Sparse files would tell, but not through Node,
 * and not after a copy. BASES/NAME.zeros:
 *
 *     0x00   8  "BWZEROS1"
 *     0x08  32  SHA-256 of the image
 *     0x28   8  the image's size in bytes, little-endian
 *     0x30   4  CRC-32 of all that is before and after this field, little-endian
 *     0x34      a bit for each 4 KiB block, the first in bit 0 of the first byte: 1 where all of it is zero
 */
import { crc32 } from '../../agent/protocol/crc32.ts';
import type { Extent } from './disk.ts';
import { BLOCK_SIZE } from './format.ts';

const MAGIC = 'BWZEROS1';
const CRC_AT = 0x30;
const HEADER_SIZE = 0x34;
const ZEROES = Buffer.alloc(BLOCK_SIZE);

export class ZeroMap {
  readonly #size: number;
  readonly #bits: Uint8Array;

  /** Of an image of `size` bytes, no block of which is known to be zero. */
  constructor(size: number) {
    this.#size = size;
    this.#bits = new Uint8Array(Math.ceil(size / BLOCK_SIZE / 8));
  }

  /** The map in `bytes`, or undefined where that is no undamaged map of this image. */
  static decode(bytes: Buffer, size: number, digest: string): ZeroMap | undefined {
    const map = new ZeroMap(size);
    if (bytes.length !== HEADER_SIZE + map.#bits.length) return undefined;
    map.#bits.set(bytes.subarray(HEADER_SIZE));
    return map.encode(digest).equals(bytes) ? map : undefined;
  }

  /** The file's content. `digest` of the image, hexadecimal. */
  encode(digest: string): Buffer {
    const bytes = Buffer.alloc(HEADER_SIZE + this.#bits.length);
    bytes.write(MAGIC, 0, 'latin1');
    bytes.write(digest, 0x08, 'hex');
    bytes.writeBigUInt64LE(BigInt(this.#size), 0x28);
    bytes.set(this.#bits, HEADER_SIZE);
    // The field is zero so far, and is left out.
    const covered = Buffer.concat([bytes.subarray(0, CRC_AT), bytes.subarray(HEADER_SIZE)]);
    bytes.writeUInt32LE(crc32(covered), CRC_AT);
    return bytes;
  }

  /**
   * Notes the blocks of `content`, which is at `offset` of the image: a multiple of the block size, as its length is but
   * at the image's end. Gives its runs, with the place of each in `content`.
   */
  note(content: Buffer, offset: number): (Extent & { from: number })[] {
    for (let at = 0; at < content.length; at += BLOCK_SIZE) {
      const part = content.subarray(at, at + BLOCK_SIZE);
      const block = (offset + at) / BLOCK_SIZE;
      if (part.equals(ZEROES.subarray(0, part.length))) this.#bits[block >>> 3]! |= 1 << (block & 7);
    }
    let from = 0;
    return this.extents(offset, content.length, content.length).map((extent) => {
      const placed = { ...extent, from };
      from += extent.length;
      return placed;
    });
  }

  /** As Disk.extents has it: blocks that are zero are holes, and nothing is dirty. */
  extents(offset: number, length: number, most: number): Extent[] {
    const end = offset + length;
    const limit = Math.ceil(end / BLOCK_SIZE);
    const extents: Extent[] = [];
    for (let at = offset; at < end && extents.length < most; ) {
      const block = Math.floor(at / BLOCK_SIZE);
      const stop = Math.min(end, this.#runEnd(block, limit) * BLOCK_SIZE);
      extents.push({ length: stop - at, state: this.#isZero(block) ? 'hole' : 'data', dirty: false });
      at = stop;
    }
    return extents;
  }

  #isZero(block: number): boolean {
    return ((this.#bits[block >>> 3]! >>> (block & 7)) & 1) === 1;
  }

  /** The first block after `block`, at most `limit`, that is not of its kind. */
  #runEnd(block: number, limit: number): number {
    const zero = this.#isZero(block);
    const eight = zero ? 0xff : 0;
    let end = block + 1;
    while (end < limit) {
      if ((end & 7) === 0 && this.#bits[end >>> 3] === eight) end += 8;
      else if (this.#isZero(end) === zero) end++;
      else break;
    }
    return Math.min(end, limit);
  }
}
