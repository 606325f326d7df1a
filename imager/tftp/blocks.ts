/**
 * The blocks of one transfer that are read but not yet acknowledged, as DATA packets ready to send.
 * Reads ahead by about a window; what is held is bounded whatever the size of the file.
 */
import { writeDataHeader } from './codec.ts';
import type { ByteSource } from './source.ts';

const HEADER = 4;
/** Bytes held at least, so that small blocks are not read one by one. */
const READ_AHEAD = 131_072;

export class BlockBuffer {
  readonly #source: ByteSource;
  readonly #blksize: number;
  readonly #capacity: number;
  readonly #slots: Uint8Array[] = [];
  readonly #chunk: Uint8Array;
  readonly #inUse: () => boolean;
  #released = 0;
  #available = 0;
  #last: number | undefined;
  #lastLength = 0;

  /**
   * `fileSize` in bytes bounds what is allocated. `inUse` says whether packets handed out may still wait to be sent:
   * their memory is then left alone and replaced.
   */
  constructor(options: {
    source: ByteSource;
    blksize: number;
    windowsize: number;
    fileSize: number;
    inUse: () => boolean;
  }) {
    const { blksize, windowsize, fileSize } = options;
    this.#source = options.source;
    this.#blksize = blksize;
    this.#inUse = options.inUse;
    // Twice the file: netascii conversion can double it.
    const whole = Math.floor((2 * fileSize) / blksize) + 1;
    const wanted = Math.max(2 * windowsize, Math.ceil(READ_AHEAD / blksize), 2);
    // Two reads fill it, each at least a window: one can be under way while the other is sent.
    const blocksRead = Math.ceil(Math.min(wanted, whole) / 2);
    this.#capacity = 2 * blocksRead;
    this.#chunk = new Uint8Array(blocksRead * blksize);
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

  /** The DATA packet of a block that is available and not released. Valid until it is released. */
  packet(block: number): Uint8Array {
    const slot = this.#slots[block % this.#capacity]!;
    return block === this.#last ? slot.subarray(0, HEADER + this.#lastLength) : slot;
  }

  release(block: number): void {
    this.#released = Math.max(this.#released, block);
  }

  /** Whether `fill` would read something now. */
  get hasRoom(): boolean {
    const free = this.#capacity - (this.#available - this.#released);
    return this.#last === undefined && free * this.#blksize >= this.#chunk.length;
  }

  /** Reads the next blocks. One call at a time, with room. Rejects with what the source rejects with. */
  async fill(): Promise<void> {
    const count = await this.#source.fill(this.#chunk);
    const full = Math.floor(count / this.#blksize);
    for (let index = 0; index < full; index++) this.#store(index * this.#blksize, this.#blksize);
    if (count === this.#chunk.length) return;
    this.#lastLength = count - full * this.#blksize;
    this.#last = this.#available + 1;
    this.#store(full * this.#blksize, this.#lastLength);
  }

  #store(offset: number, length: number): void {
    const block = this.#available + 1;
    const index = block % this.#capacity;
    let slot = this.#slots[index];
    if (slot === undefined || this.#inUse()) {
      slot = new Uint8Array(HEADER + this.#blksize);
      this.#slots[index] = slot;
    }
    writeDataHeader(slot, block);
    slot.set(this.#chunk.subarray(offset, offset + length), HEADER);
    this.#available = block;
  }
}
