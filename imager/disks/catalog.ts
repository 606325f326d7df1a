/**
 * The disks there are: base images under DIR/bases (bases.ts), overlays under DIR/disks/NAME/{disk.json,data,map}.
 * The folders are the truth, so a disk made by another process (the command line) is there at once.
 *
 * Exports: an overlay by its name; a base image, read-only, as `base:NAME`.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { isName } from '../../agent/protocol/names.ts';
import { Additions } from '../storage/additions.ts';
import { removeUnfinished, syncPath, unfinishedPath } from '../storage/durable.ts';
import { AttachedOverlay } from './attached-overlay.ts';
import { BaseDisk, Bases, type BaseView } from './bases.ts';
import { SystemFile } from './block-file.ts';
import type { BlockCounts } from './block-map.ts';
import type { Disk, DiskCatalog, DiskClient } from './disk.ts';
import { BLOCK_SIZE, decodeHeader, HEADER_SIZE, MapError } from './map-format.ts';
import { loadMap, Overlay } from './overlay.ts';
import { type DiskRecord, damaged, readRecord, writeOverlay } from './overlay-files.ts';
import { machineBootId, RecentChanges } from './recent.ts';
import { StoreError, UnknownNameError } from './store-error.ts';

export interface DiskView {
  name: string;
  base: string;
  /** SHA-256 of the base's content. */
  baseDigest: string;
  /** Bytes. */
  size: number;
  blockSize: number;
  /** Blocks of the disk's own, as of its last flush where it is not attached. */
  blocksWritten: number;
  /** Blocks that were trimmed or zeroed. */
  blocksZeroed: number;
  /** Bytes the overlay's data takes up on the imager's disk. */
  allocatedBytes: number;
  /** Address of the client that has it open. */
  attached?: string;
}

export type MayOpen = (disk: string, client: DiskClient) => true | string;

/** An overlay that is open here. It stays open until it is flushed after its client left. */
interface OpenOverlay {
  overlay: Overlay;
  holder: DiskClient | undefined;
  /** Flushes under way for clients that left: the last one closes the overlay. */
  releasing: number;
}

const BASE_EXPORT = 'base:';

type Refusal = { refused: 'unknown' | 'policy'; why: string };

export class Disks implements DiskCatalog {
  readonly #dir: string;
  readonly #bases: Bases;
  readonly #log: Logger;
  readonly #mayOpen: MayOpen;
  readonly #bootId = machineBootId();
  readonly #open = new Map<string, OpenOverlay>();
  readonly #additions = new Additions(StoreError);
  /** Block counts of disks that are not open, and the time their map was changed. */
  readonly #counted = new Map<string, { mtimeMs: number; counts: BlockCounts }>();

  private constructor(dir: string, bases: Bases, log: Logger, mayOpen: MayOpen) {
    this.#dir = dir;
    this.#bases = bases;
    this.#log = log;
    this.#mayOpen = mayOpen;
  }

  /** Opens the store in `dir`, which is made where it is missing. `mayOpen` is asked for each export by name. */
  static async open(o: { dir: string; log: Logger; mayOpen?: MayOpen }): Promise<Disks> {
    const dir = join(o.dir, 'disks');
    mkdirSync(dir, { recursive: true });
    removeUnfinished(dir);
    return new Disks(dir, Bases.open(join(o.dir, 'bases')), o.log, o.mayOpen ?? (() => true));
  }

  /** Takes a raw image in as a base; see Bases.add. */
  addBase(name: string, file: string): Promise<BaseView> {
    return this.#bases.add(name, file);
  }

  /** All base images, by name. Damaged ones are left out: see problems(). */
  bases(): BaseView[] {
    return this.#bases.list();
  }

  /**
   * Makes an empty overlay over a base. Throws StoreError where the name is bad or taken, UnknownNameError where there
   * is no such base. Durable once it resolves.
   */
  create(name: string, base: string): Promise<DiskView> {
    return this.#additions.run((signal) => this.#create(name, base, signal));
  }

  async #create(name: string, base: string, signal: AbortSignal): Promise<DiskView> {
    if (!isName(name)) throw new StoreError(`"${name}" cannot be a disk's name: 1 to 63 of a-z 0-9 . _ -`);
    const { size, digest } = this.#bases.get(base);
    const path = unfinishedPath(this.#dir);
    try {
      await writeOverlay(path, { base, baseDigest: digest, size }, signal);
      renameSync(path, join(this.#dir, name));
    } catch (error) {
      rmSync(path, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') throw new StoreError(`disk "${name}" exists already`);
      throw error;
    }
    syncPath(this.#dir);
    return this.#view(name);
  }

  /** The names of all overlays, damaged ones' too: a look at the folder, no more. */
  names(): string[] {
    return readdirSync(this.#dir)
      .filter((name) => this.#has(name))
      .sort();
  }

  /** All overlays, by name. Damaged ones are left out: see problems(). */
  all(): DiskView[] {
    return this.#views().filter((view): view is DiskView => !(view instanceof StoreError));
  }

  /** What is wrong with the overlays and bases that all() and bases() leave out. */
  problems(): string[] {
    const damaged = this.#views().filter((view) => view instanceof StoreError);
    return [...damaged.map((error) => error.message), ...this.#bases.problems()];
  }

  #views(): (DiskView | StoreError)[] {
    return this.names().map((name) => {
      try {
        return this.#view(name);
      } catch (error) {
        if (error instanceof StoreError) return error;
        throw error;
      }
    });
  }

  /** The overlay of that name, or undefined. Throws StoreError where it is there but damaged. */
  show(name: string): DiskView | undefined {
    return this.#has(name) ? this.#view(name) : undefined;
  }

  #view(name: string): DiskView {
    const { base, baseDigest, size } = this.#record(name);
    const holder = this.#open.get(name)?.holder;
    try {
      const { data, zero } = this.#blocks(name, size);
      return {
        name,
        base,
        baseDigest,
        size,
        blockSize: BLOCK_SIZE,
        blocksWritten: data,
        blocksZeroed: zero,
        allocatedBytes: statSync(join(this.#dir, name, 'data')).blocks * 512,
        ...(holder === undefined ? {} : { attached: holder.address }),
      };
    } catch (error) {
      throw damaged(name, error);
    }
  }

  /** The map of a disk that is not open changes only where its file does: it is read once, which takes a while. */
  #blocks(name: string, size: number): BlockCounts {
    const open = this.#open.get(name);
    if (open !== undefined) return open.overlay.blocks();
    const path = join(this.#dir, name, 'map');
    const { mtimeMs } = statSync(path);
    const known = this.#counted.get(name);
    if (known?.mtimeMs === mtimeMs) return known.counts;
    const file = new SystemFile(path, 'r');
    try {
      const counts = loadMap(file, size, () => {}).counts();
      this.#counted.set(name, { mtimeMs, counts });
      return counts;
    } finally {
      file.close();
    }
  }

  list(client: DiskClient): string[] {
    const exports = [...this.names(), ...this.#bases.names().map((name) => BASE_EXPORT + name)];
    return exports.filter((name) => this.#mayOpen(name, client) === true);
  }

  describe(name: string, client: DiskClient): Pick<Disk, 'size' | 'readOnly' | 'blockSize'> | Refusal {
    const readOnly = name.startsWith(BASE_EXPORT);
    const found = readOnly
      ? this.#bases.find(name.slice(BASE_EXPORT.length))
      : this.#has(name)
        ? this.#record(name)
        : undefined;
    if (found === undefined)
      return { refused: 'unknown', why: new UnknownNameError('disk', name, this.list(client)).message };
    const verdict = this.#mayOpen(name, client);
    if (verdict !== true) return { refused: 'policy', why: verdict };
    return { size: found.size, readOnly, blockSize: BLOCK_SIZE };
  }

  /**
   * Opens a disk for a client. An overlay has one client at a time: while it is open, another open is refused as
   * 'busy', whoever asks. The caller lets a client that comes back take over by closing its earlier disk first; the
   * overlay is free for the next open as soon as `close` is called, before that flush is done.
   */
  async open(name: string, client: DiskClient): ReturnType<DiskCatalog['open']> {
    const found = this.describe(name, client);
    if ('refused' in found) return found;
    if (found.readOnly) {
      const base = name.slice(BASE_EXPORT.length);
      return new BaseDisk(name, found.size, this.#bases.content(base), this.#bases.zeros(base));
    }
    const open = this.#open.get(name) ?? this.#load(name);
    if (open.holder !== undefined)
      return { refused: 'busy', why: `disk "${name}" is in use by ${open.holder.address}` };
    open.holder = client;
    return new AttachedOverlay(open.overlay, () => this.#release(name, open));
  }

  #load(name: string): OpenOverlay {
    const open: OpenOverlay = { overlay: this.#openOverlay(name), holder: undefined, releasing: 0 };
    this.#open.set(name, open);
    // The time of a change is too coarse for one that comes right after the count.
    this.#counted.delete(name);
    return open;
  }

  #openOverlay(name: string): Overlay {
    const dir = join(this.#dir, name);
    const record = this.#record(name);
    const map = new SystemFile(join(dir, 'map'), 'r+');
    try {
      const header = new Uint8Array(HEADER_SIZE);
      map.readNow(header, 0);
      const { size, baseName, baseDigest } = decodeHeader(header);
      const base = this.#bases.get(baseName);
      if (base.digest !== baseDigest || base.size !== size || record.size !== size)
        throw new MapError(`disk "${name}" was made over another content of base "${baseName}"`);
      const data = new SystemFile(join(dir, 'data'), 'r+');
      let recent: RecentChanges | undefined;
      try {
        recent = RecentChanges.open(dir, this.#bootId);
        const [base, zeros] = [this.#bases.content(baseName), this.#bases.zeros(baseName)];
        const files = { base, zeros, data, map, recent };
        return Overlay.open(name, size, files, (page) =>
          this.#log.warn(
            { disk: name, page },
            'a flush of this disk was interrupted; using the state before it',
          ),
        );
      } catch (error) {
        data.close();
        recent?.close();
        throw error;
      }
    } catch (error) {
      map.close();
      throw error;
    }
  }

  /**
   * The client is gone: flush, and close the overlay unless another client came meanwhile. That one may be gone again
   * too, and its flush still under way: then the overlay is the flush's, for the files tell of it only afterwards.
   */
  async #release(name: string, open: OpenOverlay): Promise<void> {
    open.holder = undefined;
    open.releasing++;
    const { overlay } = open;
    try {
      await overlay.flush();
    } finally {
      open.releasing--;
      if (open.releasing === 0 && open.holder === undefined && this.#open.get(name) === open) {
        this.#open.delete(name);
        await overlay.close();
      }
    }
  }

  /** Flushes and closes everything that is open, interrupts additions. Disks must not be used any more. */
  async close(): Promise<void> {
    await Promise.all([
      this.#additions.close(),
      ...[...this.#open].map(([name, open]) => this.#release(name, open)),
    ]);
    await this.#bases.close();
  }

  #has(name: string): boolean {
    return isName(name) && existsSync(join(this.#dir, name, 'disk.json'));
  }

  /** What the disk.json of a disk that is there says. Throws StoreError where that is not what it must be. */
  #record(name: string): DiskRecord {
    try {
      return readRecord(join(this.#dir, name));
    } catch (error) {
      throw damaged(name, error);
    }
  }
}
