/**
 * The journal of an overlay's map: changes go into it before they are acknowledged, and are in the kernel's hands then.
 * Changes noted in one turn of the event loop leave in one record, with one write.
 *
 * It is a chain of segments (journal-chain.ts), written out in full before they are needed, so that what was promised room
 * never fails for lack of space: `promise` does, before anything is changed.
 */
import type { BlockFile } from './block-file.ts';
import { asDiskError } from './block-file.ts';
import { type DiskError, DONE } from './disk.ts';
import type { PlaceRun } from './format.ts';
import { type Batch, newBatch } from './journal-batch.ts';
import { JournalChain, type JournalWrite } from './journal-chain.ts';
import {
  type Change,
  changeSize,
  type JournalPosition,
  MAX_RECORD,
  type Mark,
  putChange,
  RECORD_HEAD,
} from './journal-record.ts';
import type { Space } from './space.ts';
import type { Segment } from './superblock.ts';

export class Journal {
  readonly #file: BlockFile;
  readonly #space: Space;
  readonly #chain: JournalChain;
  #written: number;
  /** Byte of the file behind the last record that is in it. */
  #writtenEnd: number;
  #synced: Mark;
  /** The last record that was in the file already. */
  readonly #inherited: Mark;
  readonly #batches: Batch[] = [];
  readonly #waiting: (() => void)[] = [];
  #released: PlaceRun[] = [];
  #changed = false;
  /** Bytes of records that are not in the file yet, and of changes that may be noted. */
  #pending = 0;
  #promised = 0;
  /** What lies behind the last record might be taken for more of them. */
  #soiled: boolean;
  #appending = false;
  #scheduled = false;
  #failure: DiskError | undefined;
  #unused: Buffer | undefined;

  /**
   * A journal that goes on at `position`; segments `before` come before that of it, records up to `durable` are durable.
   * `salt` gives 8 random bytes as hexadecimal.
   */
  constructor(
    file: BlockFile,
    space: Space,
    found: { journal: JournalPosition; before: PlaceRun[]; durable: Mark; clean: boolean },
    salt: () => string,
  ) {
    const { durable, clean } = found;
    this.#file = file;
    this.#space = space;
    this.#soiled = !clean;
    this.#chain = new JournalChain(file, space, found, salt);
    this.#written = this.#chain.lsn - 1;
    this.#writtenEnd = this.#chain.end;
    this.#synced = durable;
    this.#inherited = { lsn: this.#written, end: this.#writtenEnd };
  }

  /**
   * The last record that is in the file; the places that records up to it replaced, since this was asked last; and
   * whether there were any with changes.
   */
  takeWritten(): { mark: Mark; released: PlaceRun[]; changed: boolean } {
    const taken = {
      mark: { lsn: this.#written, end: this.#writtenEnd },
      released: this.#released,
      changed: this.#changed,
    };
    this.#released = [];
    this.#changed = false;
    return taken;
  }

  /** Bytes since the checkpoint. */
  get length(): number {
    return this.#chain.length;
  }

  /** All that it takes up. */
  segments(): PlaceRun[] {
    return this.#chain.segments();
  }

  /**
   * Promises room for changes of `bytes` in all; `fulfil` takes the promise back right before they are noted. Gives what
   * was promised. Throws DiskError.
   */
  promise(bytes: number): number {
    if (this.#failure !== undefined) throw this.#failure;
    this.settle();
    const promised = bytes + RECORD_HEAD * (1 + Math.ceil((2 * bytes) / MAX_RECORD));
    this.#chain.reserve(this.#pending + this.#promised + promised);
    this.#promised += promised;
    return promised;
  }

  fulfil(promised: number): void {
    this.#promised -= promised;
  }

  /**
   * Notes a change, for which there is room, after the places that it replaces were released; its checksums are in `crcs`
   * from `from` on. It is in the file once `written` resolves.
   */
  note(change: Change, from = 0): void {
    const size = changeSize(change.count, change.place);
    let batch = this.#batches.at(-1);
    if (
      batch === undefined ||
      (this.#appending && this.#batches.length === 1) ||
      batch.length + size > MAX_RECORD
    ) {
      batch = this.#newBatch();
      this.#batches.push(batch);
    }
    batch.length = putChange(batch.bytes, batch.length, change, from);
    this.#pending += size;
    // One by one: there may be more of them than a call takes arguments.
    for (const run of this.#space.takeReleased()) batch.released.push(run);
  }

  #newBatch(): Batch {
    const bytes = this.#unused ?? Buffer.allocUnsafe(MAX_RECORD);
    this.#unused = undefined;
    this.#pending += RECORD_HEAD;
    if (!this.#scheduled && !this.#appending) {
      this.#scheduled = true;
      void DONE.then(() => {
        this.#scheduled = false;
        this.#append();
      });
    }
    return newBatch(bytes);
  }

  /** Resolves once all that was noted is in the file. Rejects with DiskError: nothing can be noted any more then. */
  written(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return this.#batches.at(-1)?.written ?? DONE;
  }

  #append(): void {
    if (this.#failure !== undefined) this.#fail(this.#failure);
    while (!this.#appending && this.#batches.length > 0) {
      const [batch] = this.#batches;
      if (!this.#file.prompt(batch!.length)) {
        void this.#appendLater(batch!);
        return;
      }
      try {
        for (const { bytes, offset } of this.#writesOf(batch!)) this.#file.writeNow(bytes, offset);
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#appended();
    }
  }

  async #appendLater(batch: Batch): Promise<void> {
    this.#appending = true;
    try {
      for (const { bytes, offset } of this.#writesOf(batch)) await this.#file.write(bytes, offset);
      // Where the journal was ended meanwhile, the batch was given up.
      if (this.#failure === undefined) this.#appended();
    } catch (error) {
      this.#fail(error);
    }
    this.#appending = false;
    for (const work of this.#waiting.splice(0)) work();
    this.#append();
  }

  /** Runs `work` as soon as no record is on its way to the file, at once where that is so now. Rejects with what it throws. */
  between<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      if (this.#appending) this.#waiting.push(run);
      else run();
    });
  }

  #appended(): void {
    const batch = this.#batches.shift()!;
    this.#pending -= batch.length;
    this.#unused = batch.bytes;
    this.#tookIn();
    this.#changed ||= batch.length > RECORD_HEAD;
    for (const run of this.#space.replaced(batch.released)) this.#released.push(run);
    batch.resolve();
  }

  /** What was written in part cannot be told from what was not: no more records. */
  #fail(error: unknown): void {
    this.#failure = asDiskError(error);
    for (const batch of this.#batches.splice(0)) batch.reject(this.#failure);
  }

  #writesOf(batch: Batch): JournalWrite[] {
    return this.#chain.put(batch.bytes.subarray(0, batch.length), this.#synced.lsn);
  }

  /** All that the chain has is in the file. */
  #tookIn(): void {
    this.#written = this.#chain.lsn - 1;
    this.#writtenEnd = this.#chain.end;
  }

  /**
   * Begins a new segment, for a checkpoint or because nobody knows what lies behind the last record; only `between`
   * records. `before` are the segments that only what was before needs. Throws DiskError.
   */
  rotate(): { start: Segment & { lsn: number }; before: PlaceRun[] } {
    if (this.#failure !== undefined) throw this.#failure;
    this.#chain.reserveNext(this.#pending + this.#promised);
    this.#soiled = false;
    try {
      const { bytes, offset } = this.#chain.link(this.#synced.lsn);
      this.#file.writeNow(bytes, offset);
      this.#tookIn();
    } catch (error) {
      this.#fail(error);
      throw this.#failure;
    }
    return { start: this.#chain.start, before: this.#chain.before };
  }

  /** Sees to it that nothing behind the last record is taken for one; only `between` records. Throws DiskError. */
  settle(): void {
    if (this.#soiled) this.rotate();
  }

  /** A checkpoint is durable: segments before its start are not the journal's any more. */
  forget(before: readonly PlaceRun[]): void {
    this.#chain.forget(before);
  }

  /** Records up to `mark`, and their data, are durable. Later records say so; one of its own does where none waits. */
  synced(mark: Mark): void {
    this.#synced = mark;
    if (this.#batches.length > 0 || this.#failure !== undefined) return;
    try {
      this.fulfil(this.promise(0));
    } catch {
      // No room for it: the next record will tell.
      return;
    }
    this.#batches.push(this.#newBatch());
  }

  /**
   * Ends the journal, as well as can be, for who opens the file next: behind the last record that is known to be durable, or
   * was there before us and may have been. What lies there is not clean then. Nothing can be noted any more.
   */
  cutOff(cause: DiskError): void {
    this.#fail(cause);
    const { end } = this.#synced.lsn > this.#inherited.lsn ? this.#synced : this.#inherited;
    // A record that is on its way may go there, too.
    this.between(() => this.#file.writeNow(new Uint8Array(RECORD_HEAD).fill(0xff), end)).catch(
      // The file can be neither written nor synced: nothing of ours helps.
      () => undefined,
    );
  }

  /** Resolves once no record is on its way to the file any more, which may be closed then where nothing is noted. */
  async idle(): Promise<void> {
    await this.written().catch(() => undefined);
    await this.between(() => undefined);
  }
}
