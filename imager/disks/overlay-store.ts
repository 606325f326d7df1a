/**
 * The file of an overlay: map, journal, space and generations.
 *
 * What survives a crash: no place that a durable map names is ever written again. A block goes to a free place, and what
 * the map says of it into the journal, with the block's checksum, before the write is acknowledged: both are in the
 * kernel's hands then, and outlive this process. A flush is one fdatasync of the one file. A checkpoint writes changed
 * pages of the map to free places, then the two copies of the superblock, each durable before the next step; only then
 * is free what the superblock before named.
 */
import { crc32 } from 'node:zlib';
import { asDiskError, type BlockFile } from './block-file.ts';
import { Flushes } from './flushes.ts';
import { BLOCK_SIZE, FAN_OUT, type PlaceRun, SUPERBLOCK_PLACES, ZERO } from './format.ts';
import { encodeTable, type Generation } from './generation-table.ts';
import { Journal, MAX_CHANGE_BLOCKS } from './journal.ts';
import { changeSize } from './journal-record.ts';
import { clearBlocks } from './map-change.ts';
import type { MapTree, PageWrite } from './map-tree.ts';
import { type Recovered, recover } from './recover.ts';
import { scan } from './scan.ts';
import { Space } from './space.ts';
import { encodeSuperblock, type Superblock } from './superblock.ts';
import { tidy } from './tidy.ts';

/** A journal longer than this, or so many changed leaves of the map, ask for a checkpoint. */
const LONG_JOURNAL = 2 * 1024 * 1024;
const MANY_LEAVES = 4096;
const DONE = Promise.resolve();

export interface StoreHost {
  name: string;
  /** 8 random bytes, hexadecimal. */
  salt: () => string;
  /** Told what went wrong that nobody waits for. */
  warn: (message: string, detail: Record<string, unknown>) => void;
}

/** What a checkpoint is about to make durable. */
export interface Draft {
  superblock: Superblock;
  generations: Generation[];
  /** The map from now on. */
  tree: MapTree;
}

/** Places that nothing names yet, and room to note them. */
export interface Places {
  extents: PlaceRun[];
  promised: number;
}

interface Cut extends Draft {
  writes: PageWrite[];
  captured: { tree: MapTree; pages: [number, number][] };
  /** What only the checkpoint before it needs. */
  retired: PlaceRun[];
  segments: PlaceRun[];
}

export class OverlayStore {
  readonly #file: BlockFile;
  readonly #host: StoreHost;
  readonly #space: Space;
  readonly #journal: Journal;
  readonly #flushes: Flushes;
  #tree: MapTree;
  #superblock: Superblock;
  #copy: 0 | 1;
  #generations: readonly Generation[];
  /** Places that are being written to and that the map does not have yet. */
  readonly #writing = new Set<readonly PlaceRun[]>();
  /** The map differs from the last checkpoint's. */
  #changed: boolean;
  /** Checkpoints and scans run one after another: the last of them. */
  #last: Promise<unknown> = DONE;
  #checkpointing = false;
  #patience = LONG_JOURNAL;
  #closing = false;

  private constructor(file: BlockFile, found: Recovered, host: StoreHost) {
    this.#file = file;
    this.#host = host;
    this.#tree = found.tree;
    this.#superblock = found.superblock;
    this.#copy = found.copy;
    this.#generations = found.generations;
    this.#space = new Space(Math.ceil(file.size() / BLOCK_SIZE));
    for (const place of found.retired) this.#space.retirePage(place);
    this.#journal = new Journal(file, this.#space, found, host.salt);
    this.#flushes = new Flushes(host.name, file, this.#journal, this.#space);
    this.#changed = found.replayed > 0 || found.uneven || found.tree.dirtyLeaves > 0;
    void this.#inTurn(() => this.#scan());
  }

  /**
   * Takes the file over. Throws FormatError where it is damaged, DiskError. `onDamage`, for repairs, is told damaged pages
   * of the map, which count as zeroes then.
   */
  static open(file: BlockFile, host: StoreHost, onDamage?: MapTree['onDamage']): OverlayStore {
    const found = recover(file, onDamage);
    if (found.cut) host.warn('writes that were not flushed were lost', { replayed: found.replayed });
    if (found.faults.length > 0) host.warn('a superblock was not valid', { faults: found.faults });
    return new OverlayStore(file, found, host);
  }

  /** What the last checkpoint says. */
  get superblock(): Superblock {
    return this.#superblock;
  }

  get generations(): readonly Generation[] {
    return this.#generations;
  }

  /** The map. For reading. */
  get tree(): MapTree {
    return this.#tree;
  }

  get file(): BlockFile {
    return this.#file;
  }

  get flushes(): Flushes {
    return this.#flushes;
  }

  /** Places of the file that are used, and that could be used again. */
  places(): { used: number; free: number } {
    return { used: this.#space.end - this.#space.free, free: this.#space.free };
  }

  /**
   * Places for `count` blocks; `scattered` ones also where the file could be made longer. Throws DiskError: nothing has
   * changed then.
   */
  take(count: number, scattered = false): Places {
    this.#flushes.writable();
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
   * Blocks from `block` on are at the places that `take` gave, with these checksums. The map's leaves of them are in
   * memory. Outlives this process once the promise resolves.
   */
  enter(block: number, { extents, promised }: Places, crcs: Uint32Array): Promise<void> {
    this.#writing.delete(extents);
    this.#journal.fulfil(promised);
    let done = 0;
    for (const { place, count } of extents)
      for (let from = 0; from < count; from += MAX_CHANGE_BLOCKS) {
        const part = Math.min(MAX_CHANGE_BLOCKS, count - from);
        const change = { block: block + done, count: part, place: place + from };
        for (let i = 0; i < part; i++) {
          const before = this.#tree.set(change.block + i, change.place + i, crcs[done + i]!);
          if (before >= SUPERBLOCK_PLACES) this.#space.release(before);
        }
        this.#journal.note({ ...change, crcs: crcs.subarray(done, done + part) });
        done += part;
      }
    return this.#noted(done * BLOCK_SIZE);
  }

  /** Blocks from `from` up to, not including, `to` are zero. Throws DiskError, FormatError: nothing has changed then. */
  clear(from: number, to: number): Promise<void> {
    this.#flushes.writable();
    if (from >= to) return DONE;
    this.#journal.fulfil(this.#journal.promise(changeSize(1, ZERO)));
    // All of it loaded before any of it is changed: a leaf that cannot be read must not leave the work half done.
    for (let leaf = Math.floor(from / FAN_OUT); leaf * FAN_OUT < to; leaf++) this.#tree.leaf(leaf);
    clearBlocks(
      this.#tree,
      from,
      to,
      (place) => this.#space.release(place),
      (place) => this.#space.retirePage(place),
    );
    this.#journal.note({ block: from, count: to - from, place: ZERO, crcs: [] });
    return this.#noted(0);
  }

  #noted(bytes: number): Promise<void> {
    this.#changed = true;
    this.#flushes.noted(bytes);
    const long = this.#journal.length > this.#patience || this.#tree.dirtyLeaves > MANY_LEAVES;
    if (long && !this.#checkpointing && !this.#space.scanning) void this.checkpoint().catch(() => undefined);
    return this.#journal.written();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
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
      // What a record replaced is free once the record is durable.
      await this.#flushes.flush();
      this.#space.endScan();
      this.#tidy();
    } catch (error) {
      // The disk works on without: only, nothing becomes free.
      this.#host.warn('free space cannot be told', { error: (error as Error).message });
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
   * Writes the map out as it is at one moment, and makes it durable. `alter` may change, at that moment, what else the
   * checkpoint says. Rejects with DiskError: for lack of space, then the checkpoint before still holds.
   */
  checkpoint(alter: (draft: Draft) => void = () => {}): Promise<void> {
    this.#checkpointing = true;
    return this.#inTurn(() => this.#checkpoint(alter)).finally(() => {
      this.#checkpointing = false;
    });
  }

  async #checkpoint(alter: (draft: Draft) => void): Promise<void> {
    const cut = await new Promise<Cut>((resolve, reject) => {
      this.#journal.between(() => {
        try {
          resolve(this.#cut(alter));
        } catch (error) {
          reject(error);
        }
      });
    });
    const { tree, pages } = cut.captured;
    try {
      for (const { place, bytes } of cut.writes) await this.#file.write(bytes, place * BLOCK_SIZE);
    } catch (error) {
      tree.captured(pages, false);
      this.#space.retireAgain(cut.retired);
      this.#changed = true;
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
    this.#space.freed([...cut.retired, ...cut.segments]);
    this.#tidy();
  }

  /** One step of the event loop: what the checkpoint is of. */
  #cut(alter: (draft: Draft) => void): Cut {
    this.#flushes.writable();
    const { start, before } = this.#journal.rotate();
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
    };
    alter(draft);
    if (draft.generations.length !== this.#generations.length) {
      if (last.table.rows > 0) this.#space.retire(last.table);
      draft.superblock.table = this.#placeTable(draft.generations, writes);
    }
    this.#changed = false;
    return {
      ...draft,
      writes,
      captured: { tree, pages },
      retired: this.#space.takeRetired(),
      segments: before,
    };
  }

  #placeTable(generations: readonly Generation[], writes: PageWrite[]): Superblock['table'] {
    if (generations.length === 0) return { place: 0, crc: 0, count: 0, rows: 0 };
    const bytes = encodeTable(generations);
    const { place, count } = this.#space.takeRun(bytes.length / BLOCK_SIZE);
    writes.push({ place, bytes });
    return { place, count, crc: crc32(bytes), rows: generations.length };
  }

  /** The copy that is not the newest valid one first: a crash in between leaves one of the two states. */
  async #writeSuperblock(superblock: Superblock): Promise<void> {
    const bytes = encodeSuperblock(superblock);
    for (const copy of [1 - this.#copy, this.#copy]) {
      await this.#flushes.writeThrough(bytes, copy * BLOCK_SIZE);
      this.#superblock = superblock;
    }
  }

  /** All that the map names now is kept: the caller is altering a checkpoint's draft. */
  keepAll(): void {
    this.#space.keepAll([...this.#writing].flat());
  }

  #tidy(): void {
    if (this.#closing || !tidy(this.#file, this.#space)) return;
    setImmediate(() => this.#tidy());
  }

  /** Flushes, and closes the file: also where the flush fails. */
  async close(): Promise<void> {
    try {
      await this.#flushes.flush();
      await this.settled();
      // So that the next open has nothing to do. Without space, or after a failure, it has the journal.
      if (this.#changed && !this.#space.scanning) await this.checkpoint().catch(() => undefined);
    } finally {
      this.#closing = true;
      await this.#last;
      this.#file.close();
    }
  }
}
