/** Ranges of changed blocks: as exact as a bound on their number lets them be. */
import { BLOCK_SIZE } from './format.ts';

/** Bytes of a disk. */
export interface ByteRange {
  offset: number;
  length: number;
}

/** What is changed is in `ranges`, whose ends are multiples of `granularity` bytes: a block, where there are few enough. */
export interface Changed {
  /** Of the blocks that were changed. */
  bytes: number;
  granularity: number;
  ranges: ByteRange[];
}

/** A few megabytes of JSON. */
const MOST_RANGES = 2 ** 17;

export class ChangedRanges {
  readonly #most: number;
  #blocks = 0;
  #granularity = BLOCK_SIZE;
  #ranges: ByteRange[] = [];

  constructor(most = MOST_RANGES) {
    this.#most = most;
  }

  /** A changed block, behind all that were added before. */
  add(block: number): void {
    this.#blocks++;
    this.#append(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE);
    if (this.#ranges.length > this.#most) this.#coarsen();
  }

  found(): Changed {
    return { bytes: this.#blocks * BLOCK_SIZE, granularity: this.#granularity, ranges: this.#ranges };
  }

  /** As little as makes them few enough. */
  #coarsen(): void {
    do this.#granularity *= 2;
    while (this.#count() > this.#most);
    const former = this.#ranges;
    this.#ranges = [];
    for (const { offset, length } of former) this.#append(offset, offset + length);
  }

  /** How many there would be at the present granularity. */
  #count(): number {
    let count = 0;
    let end = -1;
    for (const { offset, length } of this.#ranges) {
      if (this.#down(offset) > end) count++;
      end = this.#up(offset + length);
    }
    return count;
  }

  #down(at: number): number {
    return at - (at % this.#granularity);
  }

  #up(at: number): number {
    return Math.ceil(at / this.#granularity) * this.#granularity;
  }

  #append(from: number, to: number): void {
    const [offset, end] = [this.#down(from), this.#up(to)];
    const last = this.#ranges.at(-1);
    if (last === undefined || last.offset + last.length < offset)
      this.#ranges.push({ offset, length: end - offset });
    else last.length = Math.max(last.length, end - last.offset);
  }
}
