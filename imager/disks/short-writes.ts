/**
 * Short writes of one turn of the event loop, of whole blocks: they go to neighbouring places of the file, so one call of
 * the system does for all of them what costs most of each.
 */
import { asDiskError } from './block-file.ts';
import { DONE } from './disk.ts';
import { BLOCK_SIZE } from './format.ts';

/** Longer writes are not copied to be beside others. */
const SHORT = 16 * 1024;
const TOGETHER = 64 * 1024;

/** Blocks of the disk from `block` on. */
export interface BlockRange {
  block: number;
  count: number;
}

interface Waiting {
  source: Uint8Array;
  offset: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class ShortWrites {
  readonly #together: (bytes: Uint8Array, ranges: BlockRange[]) => Promise<void> | undefined;
  readonly #alone: (source: Uint8Array, offset: number) => Promise<void>;
  readonly #bytes = new Uint8Array(TOGETHER);
  #waiting: Waiting[] = [];
  #length = 0;

  /**
   * `together` writes the blocks of several ranges, which lie one behind the other in memory that is free again when it returns:
   * it throws, or gives undefined, where that cannot be and nothing has changed. `alone` writes those of one, from memory that stays.
   */
  constructor(
    together: (bytes: Uint8Array, ranges: BlockRange[]) => Promise<void> | undefined,
    alone: (source: Uint8Array, offset: number) => Promise<void>,
  ) {
    this.#together = together;
    this.#alone = alone;
  }

  /** Whether a write is one of these. */
  takes(length: number, offset: number): boolean {
    return length <= SHORT && offset % BLOCK_SIZE === 0 && length % BLOCK_SIZE === 0;
  }

  /** Settles those that wait where one of `length` bytes more would be too much. */
  makeRoom(length: number): void {
    if (this.#length + length > TOGETHER) this.settle();
  }

  /**
   * Writes at the turn's end at the latest, or with `settle`. What `source` has stays until what is given settles. There must be
   * room for it.
   */
  add(source: Uint8Array, offset: number): Promise<void> {
    if (this.#waiting.length === 0) void DONE.then(() => this.settle());
    this.#length += source.length;
    return new Promise((resolve, reject) => this.#waiting.push({ source, offset, resolve, reject }));
  }

  /** Writes what waits, in the order it came. */
  settle(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    const length = this.#length;
    this.#waiting = [];
    this.#length = 0;
    if (waiting.length > 1 && this.#settleTogether(waiting, length)) return;
    for (const { source, offset, resolve, reject } of waiting)
      this.#alone(source, offset).then(resolve, reject);
  }

  /** False where that cannot be, and nothing has changed. */
  #settleTogether(waiting: Waiting[], length: number): boolean {
    const ranges: BlockRange[] = [];
    let done = 0;
    for (const { source, offset } of waiting) {
      this.#bytes.set(source, done);
      done += source.length;
      ranges.push({ block: offset / BLOCK_SIZE, count: source.length / BLOCK_SIZE });
    }
    try {
      const work = this.#together(this.#bytes.subarray(0, length), ranges);
      work?.then(
        () => {
          for (const { resolve } of waiting) resolve();
        },
        (error: unknown) => {
          for (const { reject } of waiting) reject(asDiskError(error));
        },
      );
      return work !== undefined;
    } catch {
      // Each one alone is told what is wrong with it.
      return false;
    }
  }
}
