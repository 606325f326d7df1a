/**
 * NBD_CMD_CACHE: reads what a client is going to want, so that the page cache has it. A client may ask for 4 GiB in 28
 * bytes, any number of times: one range after another is read, a piece at a time, so that it takes a place in the
 * thread pool at most, and holes are left out.
 */
import type { Disk } from '../disks/disk.ts';

/** Long enough to be read through the thread pool. */
const PIECE = 512 * 1024;
/** Runs of a disk that are put together, where neighbours are alike. */
const MOST_RUNS = PIECE / 4096;

export class Prefetch {
  readonly #disk: Disk;
  #last: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Resolves once the range was read, or is not going to be. Rejects with what reading it rejects with. */
  read(offset: number, length: number): Promise<void> {
    const reading = this.#last.then(() => this.#readNow(offset, offset + length));
    this.#last = reading.catch(() => undefined);
    return reading;
  }

  async #readNow(offset: number, end: number): Promise<void> {
    const scratch = Buffer.allocUnsafeSlow(Math.min(PIECE, end - offset));
    for (let at = offset; at < end && !this.#stopped; ) {
      const { data, length } = this.#run(at, end - at);
      const piece = data ? Math.min(PIECE, length) : length;
      if (data) await this.#disk.read(scratch.subarray(0, piece), at);
      at += piece;
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
