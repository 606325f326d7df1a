/** What makes an overlay's file durable: flushes that share a sync, and a failure that ends all writing. */
import { asDiskError, type BlockFile } from './block-file.ts';
import { DiskError } from './disk.ts';
import type { Journal } from './journal.ts';
import type { Space } from './space.ts';

/** Bytes written and not flushed that ask for a flush: an open after a crash has to verify them. */
const MUCH_UNFLUSHED = 512 * 1024 * 1024;
/**
 * But not before this time after the sync before, as with file systems' own: for who writes a whole disk without a flush
 * one each time takes a sixth of all processor time. The checkpoint that the journal's length asks for comes at 2 GiB.
 */
const APART_MS = 2000;

/** Milliseconds of a clock that only goes on; `later` calls `work` after `ms` of them. */
interface FlushClock {
  now: () => number;
  later: (ms: number, work: () => void) => void;
}

export class Flushes {
  readonly #name: string;
  readonly #file: BlockFile;
  readonly #journal: Journal;
  readonly #space: Space;
  readonly #clock: FlushClock;
  #failure: DiskError | undefined;
  #unflushed = 0;
  /** When the last sync ended. */
  #ended = Number.NEGATIVE_INFINITY;
  /** Something else than records was written since the last sync began; an earlier process may have done so too. */
  #unsynced = true;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  /** A flush that nobody asked for waits for its time. */
  #waiting = false;
  #stopped = false;

  constructor(name: string, file: BlockFile, journal: Journal, space: Space, clock: FlushClock) {
    this.#name = name;
    this.#file = file;
    this.#journal = journal;
    this.#space = space;
    this.#clock = clock;
  }

  /** Throws the error that ended all writing, if there is one. */
  writable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Something was written that no record tells of. */
  wrote(): void {
    this.#unsynced = true;
  }

  /** Data of so many bytes were written, and noted in the journal. */
  noted(bytes: number): void {
    this.#unflushed += bytes;
    this.#flushUnasked();
  }

  /** For a node that never flushes: as soon as it is time, whether it writes on or not. */
  #flushUnasked(): void {
    if (this.#unflushed <= MUCH_UNFLUSHED || this.#running !== undefined || this.#waiting) return;
    if (this.#stopped || this.#failure !== undefined) return;
    const rest = this.#ended + APART_MS - this.#clock.now();
    if (rest > 0) {
      this.#waiting = true;
      this.#clock.later(rest, () => {
        this.#waiting = false;
        this.#flushUnasked();
      });
      return;
    }
    // Where it fails, later writes tell.
    void this.flush().catch(() => undefined);
  }

  /** From now on only flushes that somebody asks for: the file is about to be closed. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Resolves once all that was acknowledged is durable. Flushes wanted while one runs share the next one: it begins after
   * all of their writes. Rejects with DiskError: nothing is written any more then.
   */
  flush(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#start();
    this.#next = this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const running = this.#flushNow().finally(() => {
      this.#running = undefined;
      // Much may have been written while it ran.
      this.#flushUnasked();
    });
    this.#running = running;
    return running;
  }

  async #flushNow(): Promise<void> {
    this.writable();
    // What a scan, or a snapshot that failed, held back: of records that are on their way now at the latest.
    const held = this.#space.takeReleased();
    try {
      await this.#journal.written();
    } catch (error) {
      this.#final(error);
    }
    this.#unflushed = 0;
    const { mark, released, changed } = this.#journal.takeWritten();
    if (!changed && !this.#unsynced) {
      this.#space.freed([...held, ...released]);
      return;
    }
    this.#space.syncBegins();
    this.#unsynced = false;
    try {
      await this.#file.sync();
    } catch (error) {
      this.#final(error);
    }
    this.#ended = this.#clock.now();
    // Writing may have ended meanwhile, and the journal been cut off before what this sync was for.
    this.writable();
    this.#journal.synced(mark);
    this.#space.freed([...held, ...released]);
  }

  /** Writes, and resolves once that is durable. Rejects with DiskError: nothing is written any more then. */
  async writeThrough(bytes: Uint8Array, offset: number): Promise<void> {
    this.writable();
    try {
      await this.#file.write(bytes, offset);
    } catch (error) {
      this.#final(error);
    }
    this.wrote();
    // In turn with all others: of two syncs at once the kernel would tell one only of what it could not write back.
    await this.flush();
  }

  /**
   * The kernel forgets what it could not write back: a second fdatasync would claim success. So this is final, and whoever
   * opens the file next must not take for durable what only the page cache has.
   */
  #final(error: unknown): never {
    const cause = asDiskError(error);
    const text = `${this.#name}: a flush failed, no more writes: ${cause.message}`;
    this.#failure ??= new DiskError(cause.code, text, { cause });
    this.#journal.cutOff(this.#failure);
    throw this.#failure;
  }
}
