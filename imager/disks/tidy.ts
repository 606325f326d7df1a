/** Gives the space of free places back to the imager's file system. */
import type { BlockFile } from './block-file.ts';
import { BLOCK_SIZE } from './format.ts';
import type { Space } from './space.ts';

/** Shorter runs are left as they are: the next writes go there. */
const LEAST_RUN = 16;
/** Free places that are kept, for writes that shall not have to ask the file system: 4 MiB, or an eighth of what is used. */
const KEPT = 1024;
const KEPT_SHARE = 8;
/** As many as were written in this time, or in that before it, are kept, too: who goes on like that wants them again. */
const LATELY_MS = 30_000;
/** Runs given back with one call of ours, so that no other disk waits long. */
const RUNS_AT_ONCE = 64;

export class Tidy {
  readonly #file: BlockFile;
  readonly #space: Space;
  readonly #later: (ms: number, work: () => void) => void;
  /** Places written since the time began that is looked at, and in that before. */
  #written = 0;
  #before = 0;
  #waiting = false;
  #stopped = false;

  /** `later` calls `work` after `ms` milliseconds. */
  constructor(file: BlockFile, space: Space, later: (ms: number, work: () => void) => void) {
    this.#file = file;
    this.#space = space;
    this.#later = later;
  }

  /** Data was written to so many places. */
  wrote(places: number): void {
    this.#written += places;
  }

  /**
   * Places became free. Where that is more than was written lately, cuts the file off behind its last used place, and
   * punches holes where much is free; else, and for the rest, in some seconds.
   */
  some(): void {
    if (this.#stopped) return;
    const lately = Math.max(this.#written, this.#before);
    if (this.#space.idle > lately && this.#give(Math.max(KEPT, this.#space.used / KEPT_SHARE, lately)))
      setImmediate(() => this.some());
    if (lately === 0 || this.#waiting) return;
    this.#waiting = true;
    this.#later(LATELY_MS, () => {
      this.#waiting = false;
      this.#before = this.#written;
      this.#written = 0;
      this.some();
    });
  }

  /** Gives back all that is free in long runs. */
  all(): void {
    while (this.#give(0));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Leaves `kept` free places their space. True where there is more to do. */
  #give(kept: number): boolean {
    const [file, space] = [this.#file, this.#space];
    if (space.scanning) return false;
    const end = space.shrink() * BLOCK_SIZE;
    try {
      if (file.size() > end) file.truncate(end);
    } catch {
      // It stays as long as it is until the next time.
    }
    if (space.idle <= kept) return false;
    let runs = 0;
    for (const run of space.idleRuns(LEAST_RUN)) {
      if (++runs > RUNS_AT_ONCE) return true;
      if (!file.punch(run.place * BLOCK_SIZE, run.count * BLOCK_SIZE)) return false;
      space.punched(run);
    }
    return false;
  }
}
