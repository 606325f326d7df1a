/**
 * NBD_CMD_CACHE: reads what a client is going to want, so that the page cache has it. A client may ask for 4 GiB in 28
 * bytes, any number of times: one range after another is read, a piece at a time, so that it takes a place in the
 * thread pool at most, and of the memory of all connections what the piece needs; holes are left out.
 */
import type { Disk } from '../disks/disk.ts';
import type { Budget } from './budget.ts';
import type { Replies } from './replies.ts';

/** Long enough to be read through the thread pool. */
const PIECE = 512 * 1024;
/** Runs of a disk that are put together, where neighbours are alike. */
const MOST_RUNS = PIECE / 4096;

export class Prefetch {
  readonly #disk: Disk;
  readonly #memory: Pick<Replies, 'reserve' | 'drop'>;
  readonly #budget: Budget;
  #last: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(disk: Disk, memory: Pick<Replies, 'reserve' | 'drop'>, budget: Budget) {
    this.#disk = disk;
    this.#memory = memory;
    this.#budget = budget;
  }

  /** Resolves once the range was read, or is not going to be. Rejects with what reading it rejects with. */
  read(offset: number, length: number): Promise<void> {
    const reading = this.#last.then(() => this.#readNow(offset, offset + length));
    this.#last = reading.catch(() => undefined);
    return reading;
  }

  async #readNow(offset: number, end: number): Promise<void> {
    for (let at = offset; at < end && !this.#stopped; ) {
      const { data, length } = this.#run(at, end - at);
      const piece = data ? Math.min(PIECE, length) : length;
      if (data) await this.#readPiece(at, piece);
      at += piece;
    }
  }

  async #readPiece(offset: number, length: number): Promise<void> {
    await new Promise<void>((go) => this.#budget.take(length, go));
    const scratch = this.#memory.reserve(length);
    try {
      if (!this.#stopped) await this.#disk.read(scratch, offset);
    } finally {
      this.#memory.drop(scratch);
      this.#budget.give(length);
    }
  }

  /** What is at `offset`, as far as it is of one kind. */
  #run(offset: number, most: number): { data: boolean; length: number } {
    const runs = this.#disk.extents(offset, most, MOST_RUNS);
    const data = runs[0]!.state === 'data';
    let length = 0;
    for (const run of runs) {
      if ((run.state === 'data') !== data) break;
      length += run.length;
    }
    return { data, length };
  }

  stop(): void {
    this.#stopped = true;
  }
}
