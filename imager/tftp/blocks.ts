/**
 * The part of a file that one transfer has read and its client not yet acknowledged. Reads ahead by a window or more; what
 * is held is bounded whatever the size of the file.
 */
import type { ChunkReader } from './chunks.ts';
import { writeDataHeader } from './codec.ts';

const HEADER = 4;
/** Bytes held at least, so that small blocks are not read one by one. */
const LEAST_AHEAD = 131_072;
/** Bytes held at most where the window does not ask for more: a read takes a thread and two switches, whatever its size. */
const MOST_AHEAD = 1_048_576;
/** Bytes that transfers which began at the same time hold together, more or less, where each sends another file. */
const SHARED_AHEAD = 64 * 1_048_576;

/** How many bytes one of so many transfers holds: in few sizes, since transfers share what they read in pieces of one size. */
export function readAheadOf(transfers: number): number {
  let ahead = MOST_AHEAD;
  while (ahead > LEAST_AHEAD && ahead * transfers > SHARED_AHEAD) ahead /= 2;
  return ahead;
}

export class BlockBuffer {
  readonly #chunks: ChunkReader;
  readonly #blksize: number;
  /** Two at most, by their number modulo 2: one is read while the other is sent. Each holds at least a window. */
  readonly #held: Uint8Array[] = [];
  readonly #blocksInChunk: number;
  readonly #inUse: () => boolean;
  #packet: Uint8Array;
  #released = 0;
  #available = 0;
  #last: number | undefined;
  #lastLength = 0;

  /**
   * `fileSize` in bytes bounds what is allocated, `readAhead` is how much is held where the window is smaller. `inUse`
   * says whether a packet handed out may still wait to be sent: its memory is then left alone and replaced. `open` gives
   * the file in chunks of so many bytes.
   */
  constructor(options: {
    open: (chunkLength: number) => ChunkReader;
    blksize: number;
    windowsize: number;
    fileSize: number;
    readAhead: number;
    inUse: () => boolean;
  }) {
    const { blksize, windowsize, fileSize, readAhead } = options;
    this.#blksize = blksize;
    this.#inUse = options.inUse;
    // Twice the file: netascii conversion can double it.
    const whole = Math.floor((2 * fileSize) / blksize) + 1;
    const wanted = Math.max(2 * windowsize, Math.ceil(readAhead / blksize), 2);
    this.#blocksInChunk = Math.ceil(Math.min(wanted, whole) / 2);
    this.#chunks = options.open(this.#blocksInChunk * blksize);
    this.#packet = new Uint8Array(HEADER + blksize);
  }

  /** Highest block that can be sent. */
  get available(): number {
    return this.#available;
  }

  /** The block that ends the file, once read: shorter than the others, maybe empty (RFC 1350 section 6). */
  get last(): number | undefined {
    return this.#last;
  }

  /** Data bytes in the last block, once read. */
  get lastLength(): number {
    return this.#lastLength;
  }

  /** The DATA packet of a block that is available and not released. Valid until the next call. */
  packet(block: number): Uint8Array {
    if (this.#inUse()) this.#packet = new Uint8Array(HEADER + this.#blksize);
    const length = block === this.#last ? this.#lastLength : this.#blksize;
    const index = block - 1;
    const chunk = this.#held[Math.floor(index / this.#blocksInChunk) % 2]!;
    const offset = (index % this.#blocksInChunk) * this.#blksize;
    writeDataHeader(this.#packet, block);
    this.#packet.set(chunk.subarray(offset, offset + length), HEADER);
    return length === this.#blksize ? this.#packet : this.#packet.subarray(0, HEADER + length);
  }

  /**
   * The data of blocks from `from` on, of `to` at most, as far as they lie in one piece: at least the first, which must be
   * available and not released. Stays as it is until the last of them is released.
   */
  dataOf(from: number, to: number): Uint8Array {
    const index = from - 1;
    const inChunk = index % this.#blocksInChunk;
    const end = Math.min(to, this.#available, from + this.#blocksInChunk - 1 - inChunk);
    const short = end === this.#last ? this.#blksize - this.#lastLength : 0;
    const offset = inChunk * this.#blksize;
    const chunk = this.#held[Math.floor(index / this.#blocksInChunk) % 2]!;
    return chunk.subarray(offset, offset + (end - index) * this.#blksize - short);
  }

  /** Blocks up to this one are not asked for again. */
  release(block: number): void {
    const before = Math.floor(this.#released / this.#blocksInChunk);
    this.#released = Math.max(this.#released, block);
    const after = Math.floor(this.#released / this.#blocksInChunk);
    if (after > before) this.#chunks.release(after);
  }

  /** Nothing is asked for again. */
  close(): void {
    this.#chunks.close();
  }

  /** Whether `fill` would read something now. */
  get hasRoom(): boolean {
    return this.#last === undefined && this.#available - this.#released <= this.#blocksInChunk;
  }

  /** The block whose release makes room for `fill`; 0 and less where there is some, or nothing is left to be read. */
  get roomAfter(): number {
    return this.#last === undefined ? this.#available - this.#blocksInChunk : 0;
  }

  /** Reads the next blocks. One call at a time, with room. Rejects with what reading a chunk rejects with. */
  async fill(): Promise<void> {
    const index = this.#available / this.#blocksInChunk;
    const { bytes, filled } = await this.#chunks.read(index);
    this.#held[index % 2] = bytes;
    const full = Math.floor(filled / this.#blksize);
    if (filled < bytes.length) {
      this.#lastLength = filled - full * this.#blksize;
      this.#last = this.#available + full + 1;
    }
    this.#available += filled < bytes.length ? full + 1 : full;
  }
}
