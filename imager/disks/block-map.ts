/** The states of an overlay's blocks in memory, and which of its pages differ from their durable copies. */
import {
  BLOCKS_PER_PAGE,
  blockCount,
  encodePage,
  PAGE_STATES_SIZE,
  type PageCopy,
  pageCount,
  slotOffset,
} from './map-format.ts';

/** Where a block's content is: in the base image, in the overlay's data file, or nowhere because it is all zeroes. */
export type BlockState = 0 | 1 | 2;
export const BASE: BlockState = 0;
export const DATA: BlockState = 1;
export const ZERO: BlockState = 2;

/** How many of the four blocks in a byte of the map are data, and how many zero. */
const DATA_IN = Uint8Array.from({ length: 256 }, (_, four) => countIn(four, DATA));
const ZERO_IN = Uint8Array.from({ length: 256 }, (_, four) => countIn(four, ZERO));

function countIn(four: number, state: BlockState): number {
  return [0, 2, 4, 6].filter((shift) => ((four >>> shift) & 3) === state).length;
}

/** One page on its way to the map file. */
export interface PageWrite {
  page: number;
  /** Where in the map file, and what. */
  offset: number;
  record: Uint8Array;
  slot: 0 | 1;
  sequence: number;
}

export interface BlockCounts {
  data: number;
  zero: number;
}

export class BlockMap {
  readonly blocks: number;
  readonly pages: number;
  /** Pages in a row, 2 bits a block, as in the file. */
  readonly #states: Uint8Array;
  readonly #dirty = new Set<number>();
  /** Sequence number and slot of each page's last durable copy. */
  readonly #sequences: Float64Array;
  readonly #slots: Uint8Array;
  /** Blocks in each of the two states, kept up to date: a disk of 100 GiB has 26 million blocks to count. */
  #data = 0;
  #zero = 0;

  constructor(size: number) {
    this.blocks = blockCount(size);
    this.pages = pageCount(size);
    this.#states = new Uint8Array(this.pages * PAGE_STATES_SIZE);
    this.#sequences = new Float64Array(this.pages);
    this.#slots = new Uint8Array(this.pages);
  }

  /** Takes a page as found in the file, once. */
  load(page: number, copy: PageCopy & { slot: 0 | 1 }): void {
    // A page that was never written is as it is here.
    if (copy.sequence === 0) return;
    this.#states.set(copy.states, page * PAGE_STATES_SIZE);
    for (const four of copy.states) this.#count(four, 1);
    this.#sequences[page] = copy.sequence;
    this.#slots[page] = copy.slot;
  }

  state(block: number): BlockState {
    return ((this.#states[block >>> 2]! >>> ((block & 3) * 2)) & 3) as BlockState;
  }

  /** The first block after `block`, at most `limit`, whose state is not that of `block`. */
  runEnd(block: number, limit: number): number {
    const state = this.state(block);
    let end = block + 1;
    while (end < limit && this.state(end) === state) end++;
    return end;
  }

  /**
   * Gives the blocks from `from` up to, not including, `to` a state. Pages that change become dirty. False where all of
   * them had it.
   */
  set(from: number, to: number, state: BlockState): boolean {
    const four = state * 0x55;
    let changed = false;
    for (let block = from; block < to; ) {
      const whole = (block & 3) === 0 && to - block >= 4;
      const at = block >>> 2;
      const shift = (block & 3) * 2;
      const before = this.#states[at]!;
      const after = whole ? four : (before & ~(3 << shift)) | (state << shift);
      if (after !== before) {
        this.#states[at] = after;
        changed = true;
        this.#count(before, -1);
        this.#count(after, 1);
        this.#dirty.add(Math.floor(block / BLOCKS_PER_PAGE));
      }
      block += whole ? 4 : 1;
    }
    return changed;
  }

  #count(four: number, times: 1 | -1): void {
    this.#data += times * DATA_IN[four]!;
    this.#zero += times * ZERO_IN[four]!;
  }

  /** How many blocks are data, and how many are known to be zero. */
  counts(): BlockCounts {
    return { data: this.#data, zero: this.#zero };
  }

  /**
   * The dirty pages as they are now, each for the slot that does not hold its durable copy, and forgets that they
   * are dirty. The caller tells with `committed` once they are durable; where that fails the map must not be used on.
   */
  capture(): PageWrite[] {
    const writes = [...this.#dirty].map((page): PageWrite => {
      const slot = this.#slots[page] === 0 ? 1 : 0;
      const sequence = this.#sequences[page]! + 1;
      const states = this.#states.subarray(page * PAGE_STATES_SIZE, (page + 1) * PAGE_STATES_SIZE);
      return {
        page,
        offset: slotOffset(page, slot),
        record: encodePage(page, sequence, states),
        slot,
        sequence,
      };
    });
    this.#dirty.clear();
    return writes;
  }

  committed(writes: readonly PageWrite[]): void {
    for (const { page, slot, sequence } of writes) {
      this.#slots[page] = slot;
      this.#sequences[page] = sequence;
    }
  }
}
