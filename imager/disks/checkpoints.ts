/**
 * Checkpoints of an overlay: the map, the generations and the journal's new beginning, made durable under a superblock; and
 * the scans that find out what is free. They run one after another.
 */
import { asDiskError, type BlockFile } from './block-file.ts';
import { DiskError } from './disk.ts';
import { type Alterations, type Cut, type Draft, placeTable } from './draft.ts';
import type { Flushes } from './flushes.ts';
import { BLOCK_SIZE, type PlaceRun } from './format.ts';
import type { Generation } from './generation-table.ts';
import type { Journal } from './journal.ts';
import type { MapTree } from './map-tree.ts';
import type { Recovered } from './recover.ts';
import { scan } from './scan.ts';
import type { Space } from './space.ts';
import { encodeSuperblock, type Superblock } from './superblock.ts';
import { Tidy } from './tidy.ts';

/** A journal longer than this, or so many changed leaves of the map, ask for a checkpoint. */
const LONG_JOURNAL = 2 * 1024 * 1024;
const MANY_LEAVES = 4096;
/** A scan that failed is tried again with a write after this time, then after twice as long, and so on. */
const SCAN_AGAIN_MS = 60_000;
const SCAN_AGAIN_MOST_MS = 60 * SCAN_AGAIN_MS;
/** Writes wait then. */
const TOO_LONG_JOURNAL = 8 * LONG_JOURNAL;

/** What a checkpoint is made with. */
export interface Parts {
  file: BlockFile;
  space: Space;
  journal: Journal;
  flushes: Flushes;
  /** Places that are being written to and that the map does not have yet. */
  writing: ReadonlySet<readonly PlaceRun[]>;
  /** Told what went wrong that nobody waits for. */
  warn: (message: string, detail: Record<string, unknown>) => void;
  /** Milliseconds of a clock that only goes on. */
  now: () => number;
  /** Calls `work` after `ms` milliseconds. */
  later: (ms: number, work: () => void) => void;
}

export class Checkpoints {
  readonly #file: BlockFile;
  readonly #space: Space;
  readonly #journal: Journal;
  readonly #flushes: Flushes;
  readonly #writing: Parts['writing'];
  readonly #warn: Parts['warn'];
  readonly #now: Parts['now'];
  readonly #tidy: Tidy;
  #tree: MapTree;
  #superblock: Superblock;
  #copy: 0 | 1;
  #generations: readonly Generation[];
  /** The map differs from the last checkpoint's. */
  #changed: boolean;
  /** The last of those that run one after another. */
  #last: Promise<unknown> = Promise.resolve();
  #running = 0;
  #patience = LONG_JOURNAL;
  /** When a scan that failed is tried again, and how long the wait for that is. */
  #scanAgain: { at: number; after: number } | undefined;
  #closing = false;

  /** Begins with a scan. */
  constructor(parts: Parts, found: Recovered) {
    this.#file = parts.file;
    this.#space = parts.space;
    this.#journal = parts.journal;
    this.#flushes = parts.flushes;
    this.#writing = parts.writing;
    this.#warn = parts.warn;
    this.#now = parts.now;
    this.#tidy = new Tidy(parts.file, parts.space, parts.later);
    this.#tree = found.tree;
    this.#superblock = found.superblock;
    this.#copy = found.copy;
    this.#generations = found.generations;
    this.#changed = found.replayed > 0 || found.tree.dirtyLeaves > 0;
    // Maybe the chosen one is in the kernel's memory only, and the drive has the other still: nothing that this one names
    // may be used again before. Where it fails no flush succeeds any more, the scan's neither.
    if (found.uneven) void this.#inTurn(() => this.#writeSuperblock(found.superblock)).catch(() => undefined);
    void this.#inTurn(() => this.#scan());
  }

  /** What the last checkpoint says. */
  get superblock(): Superblock {
    return this.#superblock;
  }

  get generations(): readonly Generation[] {
    return this.#generations;
  }

  get tree(): MapTree {
    return this.#tree;
  }

  /** The map was changed, and data written to `places`: begins a checkpoint where it is time for one. */
  changed(places: number): void {
    this.#changed = true;
    this.#tidy.wrote(places);
    const long = this.#journal.length > this.#patience || this.#tree.dirtyLeaves > MANY_LEAVES;
    if (long && this.#running === 0 && this.#mayCheckpoint()) void this.#tryCheckpoint();
    if (this.#scanAgain !== undefined && this.#now() >= this.#scanAgain.at) this.#tryScan(this.#scanAgain);
  }

  /** A scan nobody waits for. */
  #tryScan({ after }: { after: number }): void {
    // Not once more before this one is through.
    this.#scanAgain = { at: Number.POSITIVE_INFINITY, after };
    // Where the flush before it fails, there are no more writes that could want space.
    void this.rescan().catch(() => undefined);
  }

  /**
   * Where the journal has grown far beyond what asked for a checkpoint, because that or a scan is still under way: resolves
   * once it is done. Who writes so fast is to wait for it, or journal and changed leaves would grow without end.
   */
  pressure(): Promise<void> | undefined {
    if (this.#journal.length <= TOO_LONG_JOURNAL) return undefined;
    return this.#running > 0 || !this.#mayCheckpoint() ? this.settled() : undefined;
  }

  /** While a scan runs a checkpoint would wait for it. */
  #mayCheckpoint(): boolean {
    return !this.#space.scanning || this.#space.blind;
  }

  /** A checkpoint nobody waits for: without one the journal has all. */
  async #tryCheckpoint(): Promise<void> {
    try {
      await this.checkpoint();
    } catch (error) {
      // Those are told to whoever writes.
      if (!(error instanceof DiskError)) this.#warn('no checkpoint', { error: (error as Error).message });
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Does `work`, which must not ask for a checkpoint, while there is none: pages that the last one has stay where they are. */
  still<T>(work: () => Promise<T>): Promise<T> {
    this.#running++;
    return this.#inTurn(work).finally(() => {
      this.#running--;
    });
  }

  /** Resolves once checkpoints and scans asked for so far are done: after an open, once free places are known. */
  async settled(): Promise<void> {
    await this.#last;
  }

  async #scan(): Promise<void> {
    const { table } = this.#superblock;
    const used = [...this.#journal.segments(), ...[...this.#writing].flat()];
    if (table.rows > 0) used.push(table);
    const input = {
      file: this.#file,
      space: this.#space,
      superblock: this.#superblock,
      tree: this.#tree,
      used,
    };
    try {
      await scan({ ...input, generations: this.#generations }, () => this.#closing);
      if (this.#closing) return;
      // Records whose data was lost may not come back, once what they name is used again.
      await this.#journal.between(() => this.#journal.settle());
      // What a record replaced is free once the record is durable.
      await this.#flushes.flush();
      this.#space.endScan();
      if (this.#scanAgain !== undefined) this.#warn('free space can be told again', {});
      this.#scanAgain = undefined;
      this.#tidy.some();
    } catch (error) {
      // The disk works on without: only, nothing becomes free. What the cause is may pass.
      this.#space.failScan();
      const after = Math.min(SCAN_AGAIN_MOST_MS, 2 * (this.#scanAgain?.after ?? SCAN_AGAIN_MS / 2));
      this.#scanAgain = { at: this.#now() + after, after };
      this.#warn('free space cannot be told', { error: (error as Error).message });
    }
  }

  /** Finds out anew which places are used: a generation is gone. */
  rescan(): Promise<void> {
    return this.#inTurn(async () => {
      // What waits to be freed would be freed after it is used again.
      await this.#flushes.flush();
      this.#space.beginScan();
      await this.#scan();
    });
  }

  /**
   * Writes the map out as it is at one moment, and makes it durable. Rejects with DiskError, for lack of space too, and
   * with what an alteration throws: the checkpoint before still holds then.
   */
  checkpoint(alterations: Alterations = {}): Promise<void> {
    return this.still(() => this.#checkpoint(alterations));
  }

  async #checkpoint(alterations: Alterations): Promise<void> {
    const cut = await this.#journal.between(() => this.#cut(alterations));
    const { tree, pages } = cut.captured;
    try {
      for (const { place, bytes } of cut.writes) await this.#file.write(bytes, place * BLOCK_SIZE);
    } catch (error) {
      this.#undo(cut, alterations);
      this.#patience = this.#journal.length + LONG_JOURNAL;
      throw asDiskError(error);
    }
    tree.captured(pages, true);
    this.#flushes.wrote();
    await this.#flushes.flush();
    await this.#writeSuperblock(cut.superblock);
    this.#tree = cut.tree;
    this.#generations = cut.generations;
    this.#journal.forget(cut.segments);
    this.#patience = LONG_JOURNAL;
    this.#space.kept(true);
    this.#space.freed([...cut.retired, ...cut.segments, ...cut.tables.before]);
    this.#tidy.some();
  }

  /** One step of the event loop: what the checkpoint is of. */
  #cut(alterations: Alterations): Cut {
    this.#flushes.writable();
    // First, for it may fail.
    const { start, before } = this.#journal.rotate();
    alterations.prepare?.(this.#tree, this.#superblock);
    const tree = this.#tree;
    const { writes, pages } = tree.capture(this.#space);
    const last = this.#superblock;
    const draft: Draft = {
      superblock: {
        ...last,
        sequence: last.sequence + 1,
        root: tree.root,
        blocks: tree.counts(),
        journal: start,
      },
      generations: [...this.#generations],
      tree,
      writes,
    };
    const captured = { tree, pages };
    try {
      alterations.alter?.(draft);
    } catch (error) {
      const nothing = { captured, retired: this.#space.takeRetired(), tables: { before: [], made: [] } };
      this.#undo(nothing, alterations);
      throw error;
    }
    const tables = placeTable(draft, this.#generations, this.#space);
    // What the map names is the new generation's from now on.
    if (draft.generations.length > this.#generations.length) this.#space.keepAll([...this.#writing].flat());
    this.#changed = false;
    return { ...draft, captured, retired: this.#space.takeRetired(), segments: before, tables };
  }

  /** Nothing came of a checkpoint. */
  #undo(
    { captured, retired, tables }: Pick<Cut, 'captured' | 'retired' | 'tables'>,
    { undo }: Alterations,
  ): void {
    const { tree, pages } = captured;
    tree.captured(pages, false);
    for (const extent of retired) this.#space.retire(extent);
    this.#space.giveBack(tables.made);
    this.#space.kept(false);
    undo?.(tree, this.#superblock, this.#space);
    this.#changed = true;
  }

  /** The copy that is not the newest valid one first: a crash in between leaves one of the two states. */
  async #writeSuperblock(superblock: Superblock): Promise<void> {
    const bytes = encodeSuperblock(superblock);
    for (const copy of [1 - this.#copy, this.#copy]) {
      await this.#flushes.writeThrough(bytes, copy * BLOCK_SIZE);
      this.#superblock = superblock;
    }
  }

  /** Makes a last checkpoint, so that the next open has nothing to do; the file is not used any more then. */
  async close(): Promise<void> {
    await this.settled();
    // Without space, or after a failure, the next open has the journal.
    if (this.#changed && this.#mayCheckpoint()) await this.#tryCheckpoint();
    this.#tidy.all();
    this.stop();
    await this.#last;
  }

  /** Ends a scan early, and begins no more work. */
  stop(): void {
    this.#closing = true;
    this.#tidy.stop();
  }
}
