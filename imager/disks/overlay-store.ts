/**
 * The file of an overlay: map, journal, space and generations.
 *
 * What survives a crash: no place that a durable map names is ever written again. A block goes to a free place, and what
 * the map says of it into the journal, with the block's checksum, before the write is acknowledged: both are in the
 * kernel's hands then, and outlive this process. A flush is one fdatasync of the one file. A checkpoint writes changed
 * pages of the map to free places, then the two copies of the superblock, each durable before the next step; only then
 * is free what the superblock before named.
 */
import type { BlockFile } from './block-file.ts';
import { Checkpoints } from './checkpoints.ts';
import { DONE } from './disk.ts';
import type { Alterations } from './draft.ts';
import { Flushes } from './flushes.ts';
import { BLOCK_SIZE, FAN_OUT, type PlaceRun, SUPERBLOCK_PLACES, ZERO } from './format.ts';
import type { Generation } from './generation-table.ts';
import { Journal } from './journal.ts';
import { changeSize, MAX_CHANGE_BLOCKS, NO_CRCS } from './journal-record.ts';
import { clearBlocks, putBlocks } from './map-change.ts';
import type { PageWrite } from './map-page.ts';
import type { MapTree } from './map-tree.ts';
import { type Recovered, recovery, renewal } from './recover.ts';
import type { BlockRange } from './short-writes.ts';
import { Space } from './space.ts';
import type { Superblock } from './superblock.ts';
import { atOnce, inTurns, type Steps } from './turns.ts';

export interface StoreHost {
  name: string;
  /** 8 random bytes, hexadecimal. */
  salt: () => string;
  /** Told what went wrong that nobody waits for. */
  warn: (message: string, detail: Record<string, unknown>) => void;
  /** Milliseconds of a clock that only goes on. Default: the system's. */
  now?: () => number;
  /** Calls `work` after `ms` milliseconds, unless the process ends before. Default: a timer's. */
  later?: (ms: number, work: () => void) => void;
}

/** Places that nothing names yet, and room to note them. */
export interface Places {
  extents: PlaceRun[];
  promised: number;
}

export class OverlayStore {
  readonly file: BlockFile;
  readonly flushes: Flushes;
  readonly #space: Space;
  readonly #journal: Journal;
  readonly #checkpoints: Checkpoints;
  /** Places that are being written to and that the map does not have yet. */
  readonly #writing = new Set<readonly PlaceRun[]>();

  readonly #release = (place: number, count: number): void => this.#space.release(place, count);

  private constructor(file: BlockFile, found: Recovered, host: StoreHost) {
    this.file = file;
    this.#space = new Space(found.end);
    for (const place of found.retired) this.#space.retirePage(place);
    this.#journal = new Journal(file, this.#space, found, host.salt);
    const now = host.now ?? (() => performance.now());
    const later = host.later ?? ((ms, work) => void setTimeout(work, ms).unref());
    this.flushes = new Flushes(host.name, file, this.#journal, this.#space, { now, later });
    this.#checkpoints = new Checkpoints(
      {
        file,
        space: this.#space,
        journal: this.#journal,
        flushes: this.flushes,
        writing: this.#writing,
        warn: host.warn,
        now,
        later,
      },
      found,
    );
  }

  /**
   * Takes the file over. Throws FormatError where it is damaged, DiskError. `onDamage`, for repairs, is told damaged pages
   * of the map, which count as zeroes then.
   */
  static open(file: BlockFile, host: StoreHost, onDamage?: MapTree['onDamage']): OverlayStore {
    return atOnce(OverlayStore.#opening(file, host, onDamage));
  }

  /** As open(), with turns for others: after a crash there may be much to read, and to write again. */
  static openInTurns(file: BlockFile, host: StoreHost): Promise<OverlayStore> {
    return inTurns(OverlayStore.#opening(file, host, undefined));
  }

  static *#opening(file: BlockFile, host: StoreHost, onDamage: MapTree['onDamage']): Steps<OverlayStore> {
    const found = yield* recovery(file, onDamage);
    if (found.cut) host.warn('writes that were not flushed were lost', { replayed: found.replayed });
    if (found.faults.length > 0) host.warn('a superblock was not valid', { faults: found.faults });
    yield* renewal(file, found.unsure);
    return new OverlayStore(file, found, host);
  }

  /** What the last checkpoint says. */
  get superblock(): Superblock {
    return this.#checkpoints.superblock;
  }

  get generations(): readonly Generation[] {
    return this.#checkpoints.generations;
  }

  /** The map. For reading. */
  get tree(): MapTree {
    return this.#checkpoints.tree;
  }

  /** Places of the file that are used, and that could be used again; `blind`: which are free could not be found out. */
  places(): { used: number; free: number; blind: boolean } {
    return { used: this.#space.used, free: this.#space.free, blind: this.#space.blind };
  }

  /**
   * Places for `count` blocks; `scattered` ones also where the file could be made longer. Throws DiskError: nothing has
   * changed then.
   */
  take(count: number, scattered = false): Places {
    this.flushes.writable();
    // However scattered they are, each can be noted.
    const promised = this.#journal.promise(count * changeSize(1, SUPERBLOCK_PLACES));
    const extents = this.#space.take(count, scattered);
    this.#writing.add(extents);
    return { extents, promised };
  }

  /** Whether `count` places are free that `take` may have passed over. */
  hasFree(count: number): boolean {
    return this.#space.free >= count && !this.#space.scanning;
  }

  /** The write to these places failed. */
  giveBack({ extents, promised }: Places): void {
    this.#writing.delete(extents);
    this.#journal.fulfil(promised);
    this.#space.giveBack(extents);
  }

  /**
   * The blocks of `ranges` are at the places that `take` gave, in that order, with these checksums. The map's leaves of them
   * are in memory. Outlives this process once the promise resolves.
   */
  enter(ranges: readonly BlockRange[], { extents, promised }: Places, crcs: Uint32Array): Promise<void> {
    this.#writing.delete(extents);
    this.#journal.fulfil(promised);
    let done = 0;
    let [extent, used] = [0, 0];
    for (const { block, count } of ranges)
      for (let entered = 0; entered < count; ) {
        const run = extents[extent]!;
        const length = Math.min(MAX_CHANGE_BLOCKS, count - entered, run.count - used);
        const [first, place] = [block + entered, run.place + used];
        putBlocks(this.tree, first, { place, count: length, crcs, from: done, released: this.#release });
        this.#journal.note({ block: first, count: length, place, crcs }, done);
        entered += length;
        done += length;
        used += length;
        if (used === run.count) [extent, used] = [extent + 1, 0];
      }
    return this.#noted(done);
  }

  /** Blocks from `from` up to, not including, `to` are zero. Throws DiskError, FormatError: nothing has changed then. */
  clear(from: number, to: number): Promise<void> {
    this.flushes.writable();
    if (from >= to) return DONE;
    this.#journal.fulfil(this.#journal.promise(changeSize(1, ZERO)));
    // All of it loaded before any of it is changed: a leaf that cannot be read must not leave the work half done.
    for (let leaf = Math.floor(from / FAN_OUT); leaf * FAN_OUT < to; leaf++) this.tree.leaf(leaf);
    clearBlocks(
      this.tree,
      from,
      to,
      (place) => this.#space.release(place),
      (place) => this.#space.retirePage(place),
    );
    this.#journal.note({ block: from, count: to - from, place: ZERO, crcs: NO_CRCS });
    return this.#noted(0);
  }

  #noted(places: number): Promise<void> {
    this.flushes.noted(places * BLOCK_SIZE);
    this.#checkpoints.changed(places);
    const written = this.#journal.written();
    const pressure = this.#checkpoints.pressure();
    return pressure === undefined ? written : written.then(() => pressure);
  }

  /** The changed pages of another map in this file, with new places: they have to be written before anything names them. */
  captureOf(tree: MapTree): PageWrite[] {
    const { writes, pages } = tree.capture(this.#space);
    tree.captured(pages, true);
    return writes;
  }

  /** Resolves once checkpoints and scans asked for so far are done: after an open, once free places are known. */
  settled(): Promise<void> {
    return this.#checkpoints.settled();
  }

  /** See Checkpoints. */
  checkpoint(alterations?: Alterations): Promise<void> {
    return this.#checkpoints.checkpoint(alterations);
  }

  /** See Checkpoints. */
  still<T>(work: () => Promise<T>): Promise<T> {
    return this.#checkpoints.still(work);
  }

  /** See Checkpoints. */
  rescan(): Promise<void> {
    return this.#checkpoints.rescan();
  }

  /** Flushes, and closes the file: also where the flush fails. */
  async close(): Promise<void> {
    this.flushes.stop();
    try {
      await this.flushes.flush();
      await this.#checkpoints.close();
    } finally {
      this.#checkpoints.stop();
      await this.settled();
      // The record that tells of the last sync, too: the system gives the file's number to the next one that is opened.
      await this.#journal.idle();
      this.file.close();
    }
  }
}
