/**
 * The disks there are: base images under DIR/bases (bases.ts), overlays under DIR/disks/NAME/overlay (README.md).
 * The folders are the truth, so a disk made by another process (the command line) is there at once.
 *
 * Exports: an overlay by its name; a base image, read-only, as `base:NAME`.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { isName } from '../../agent/protocol/names.ts';
import { makeFolder, removeUnfinished, syncPath, unfinishedPath } from '../storage/durable.ts';
import { BaseDisk } from './base-disk.ts';
import type { ImageSource } from './base-image.ts';
import type { BaseView } from './base-record.ts';
import { BaseReaders, overlaysOver } from './base-use.ts';
import { Bases } from './bases.ts';
import { type DamagedView, viewsOf } from './damaged.ts';
import type { Disk, DiskCatalog, DiskClient } from './disk.ts';
import { BLOCK_SIZE } from './format.ts';
import { hasHostCalls } from './host.ts';
import { newSalt, OpenOverlays, superblockOf } from './open-overlays.ts';
import type { Overlay } from './overlay.ts';
import { FILE_NAME, writeEmptyOverlay } from './overlay-file.ts';
import { deleteTaken, takeDisk } from './removed-files.ts';
import { BusyError, StoreError, UnknownNameError } from './store-error.ts';
import type { Superblock } from './superblock.ts';
import { ofDisk } from './system-error.ts';

export interface DiskView {
  name: string;
  base: string;
  /** SHA-256 of the base's content. */
  baseDigest: string;
  /** Bytes. */
  size: number;
  blockSize: number;
  /** Blocks of the disk's own, as of its last checkpoint where it is not open. */
  blocksWritten: number;
  /** Blocks that were trimmed or zeroed. */
  blocksZeroed: number;
  /** Bytes the overlay takes up on the imager's disk, generations and all. */
  allocatedBytes: number;
  /** True where the disk is open and damage keeps what becomes free from being used again. */
  growsOnly?: boolean;
  /** How many generations are kept. */
  generations: number;
  /** The generation that the disk was made from; 0: none. */
  parent: number;
  /** Address of the client that has it open. */
  attached?: string;
  /** Why it cannot be opened now: what is known to be wrong with its base image. */
  damage?: string;
}

export type MayOpen = (disk: string, client: DiskClient) => true | string;

const BASE_EXPORT = 'base:';

type Refusal = { refused: 'unknown' | 'policy'; why: string };

export class Disks implements DiskCatalog {
  readonly #dir: string;
  readonly #bases: Bases;
  readonly #mayOpen: MayOpen;
  readonly #overlays: OpenOverlays;
  readonly #readers = new BaseReaders();

  private constructor(dir: string, bases: Bases, o: { log: Logger; mayOpen: MayOpen; lingerMs: number }) {
    this.#dir = dir;
    this.#bases = bases;
    this.#overlays = new OpenOverlays(dir, bases, o.log, o.lingerMs);
    this.#mayOpen = o.mayOpen;
  }

  /**
   * Opens the store in `dir`, which is made where it is missing. `mayOpen` is asked for each export by name; overlays stay
   * open for `lingerMs`, or not at all, after their clients left.
   */
  static async open(o: { dir: string; log: Logger; mayOpen?: MayOpen; lingerMs?: number }): Promise<Disks> {
    const dir = join(o.dir, 'disks');
    makeFolder(dir);
    removeUnfinished(dir);
    if (!hasHostCalls())
      o.log.warn(
        'host.node is not built: space is not given back, and nothing guards disks against a second imager',
      );
    const { log, mayOpen = () => true, lingerMs = 0 } = o;
    return new Disks(dir, Bases.open(join(o.dir, 'bases')), { log, mayOpen, lingerMs });
  }

  /** Takes a raw image in as a base; see Bases.add. */
  addBase(name: string, file: string): Promise<BaseView> {
    return this.#bases.add(name, file);
  }

  /** Takes content from anywhere in as a base; see Bases.add. */
  addContent(name: string, source: ImageSource): Promise<BaseView> {
    return this.#bases.addContent(name, source);
  }

  /** Throws StoreError where content of `size` bytes cannot be added; see Bases.mayAdd. */
  mayAddContent(name: string, size: number): void {
    this.#bases.mayAdd(name, size);
  }

  /** How far the addition of a base has come; see Bases.progress. */
  additionProgress(name: string): number | null {
    return this.#bases.progress(name);
  }

  /** All base images that are sound, but for what is found out when they are opened; by name. */
  bases(): BaseView[] {
    return this.#bases.list();
  }

  /** All base images, by name, damaged ones, too. */
  baseViews(): (BaseView | DamagedView)[] {
    return this.#bases.views();
  }

  /** The base image of that name. Throws UnknownNameError, StoreError where it is damaged. */
  base(name: string): BaseView {
    return this.#bases.get(name);
  }

  /**
   * Makes an empty overlay over a base. Throws StoreError where the name is bad or taken, or the base refused now,
   * UnknownNameError where there is no such base, DiskError where the file system fails. Durable once it resolves.
   */
  async create(name: string, base: string): Promise<DiskView> {
    if (!isName(name)) throw new StoreError(`"${name}" cannot be a disk's name: 1 to 63 of a-z 0-9 . _ -`);
    const { size, digest, damage } = this.#bases.get(base);
    if (damage !== undefined) throw new StoreError(damage);
    const path = unfinishedPath(this.#dir);
    try {
      mkdirSync(path);
      writeEmptyOverlay(path, { name: base, size, digest }, size, newSalt());
      renameSync(path, join(this.#dir, name));
    } catch (error) {
      rmSync(path, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') throw new StoreError(`disk "${name}" exists already`);
      throw ofDisk(name, error);
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

  /** All overlays that can be read, by name. */
  all(): DiskView[] {
    return this.views().filter((view) => 'size' in view);
  }

  /** What is wrong with the overlays and bases that all() and bases() leave out. */
  problems(): string[] {
    const damages = this.views().flatMap((view) => ('size' in view ? [] : [view.damage]));
    return [...damages, ...this.#bases.problems()];
  }

  /** All overlays, by name, damaged ones' too. */
  views(): (DiskView | DamagedView)[] {
    return viewsOf(this.names(), (name) => this.#view(name));
  }

  /** The overlay of that name, or undefined. Throws StoreError where it is there but damaged. */
  show(name: string): DiskView | undefined {
    return this.#has(name) ? this.#view(name) : undefined;
  }

  /** Like `show`; throws UnknownNameError where there is no such disk. */
  get(name: string): DiskView {
    const view = this.show(name);
    if (view === undefined) throw new UnknownNameError('disk', name, this.names());
    return view;
  }

  #view(name: string): DiskView {
    const open = this.#overlays.get(name);
    const { base, size, blocks, table, parent } = this.#superblock(name);
    const damage = this.#bases.damage(base.name);
    const { data, zero } = open?.overlay.store.tree.counts() ?? blocks;
    return {
      name,
      base: base.name,
      baseDigest: base.digest,
      size,
      blockSize: BLOCK_SIZE,
      blocksWritten: data,
      blocksZeroed: zero,
      allocatedBytes: statSync(join(this.#dir, name, FILE_NAME)).blocks * 512,
      generations: table.rows,
      parent,
      ...(open?.overlay.store.places().blind ? { growsOnly: true } : {}),
      ...(open?.holder === undefined ? {} : { attached: open.holder.address }),
      ...(damage === undefined ? {} : { damage }),
    };
  }

  list(client: DiskClient): string[] {
    const exports = [...this.names(), ...this.#bases.names().map((name) => BASE_EXPORT + name)];
    return exports.filter((name) => this.#mayOpen(name, client) === true);
  }

  describe(name: string, client: DiskClient): Pick<Disk, 'size' | 'readOnly' | 'blockSize'> | Refusal {
    const readOnly = name.startsWith(BASE_EXPORT);
    const base = readOnly ? this.#bases.find(name.slice(BASE_EXPORT.length)) : undefined;
    const overlay = !readOnly && this.#has(name) ? this.#superblock(name) : undefined;
    const found = base ?? overlay;
    if (found === undefined)
      return { refused: 'unknown', why: new UnknownNameError('disk', name, this.list(client)).message };
    const verdict = this.#mayOpen(name, client);
    if (verdict !== true) return { refused: 'policy', why: verdict };
    const blockSize = this.#bases.sectorSize(overlay?.base.name ?? name.slice(BASE_EXPORT.length));
    return { size: found.size, readOnly, blockSize };
  }

  #superblock(name: string): Superblock {
    return this.#overlays.get(name)?.overlay.store.superblock ?? superblockOf(this.#dir, name);
  }

  /**
   * Opens a disk for a client. An overlay has one client at a time: while it is open, another open is refused as
   * 'busy', whoever asks. The caller lets a client that comes back take over by closing its earlier disk first; the
   * overlay is free for the next open as soon as `close` is called, before that flush is done.
   */
  async open(name: string, client: DiskClient): ReturnType<DiskCatalog['open']> {
    const found = this.describe(name, client);
    if ('refused' in found) return found;
    if (found.readOnly) return this.#openBase(name, client);
    try {
      return await this.#overlays.attach(name, client);
    } catch (error) {
      if (error instanceof BusyError) return { refused: 'busy', why: error.message };
      throw error;
    }
  }

  async #openBase(name: string, client: DiskClient): Promise<BaseDisk> {
    const base = name.slice(BASE_EXPORT.length);
    // Noted before: nobody removes it meanwhile.
    const forget = this.#readers.add(base, client);
    try {
      const image = await this.#bases.content(base);
      return new BaseDisk(name, image, () => {
        this.#bases.release(image);
        forget();
      });
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** Removes an overlay that nobody uses, damaged or not, durably. Rejects with UnknownNameError, BusyError, StoreError. */
  async remove(name: string): Promise<void> {
    const taken = await this.#overlays.unused(name, () => {
      if (!this.#has(name)) throw new UnknownNameError('disk', name, this.names());
      return takeDisk(this.#dir, name);
    });
    await deleteTaken(`disk "${name}"`, taken);
  }

  /** Removes a base image that nobody uses, damaged or not. Rejects as `remove`, and where a disk is or may be over it. */
  async removeBase(name: string): Promise<void> {
    this.refuseBaseInUse(name);
    await this.#bases.remove(name);
  }

  /** Throws BusyError where a disk is or may be over the base image, or somebody reads it. */
  refuseBaseInUse(base: string): void {
    const over = overlaysOver(base, this.names(), (name) => this.#superblock(name).base.name);
    const why = over ?? this.#readers.refusal(base);
    if (why !== undefined) throw new BusyError(why);
  }

  /**
   * Does something with an overlay, whether a client has it or not. Rejects with StoreError where it cannot be opened,
   * and with DiskError in words where the file system fails.
   */
  async withOverlay<T>(name: string, work: (overlay: Overlay) => Promise<T>): Promise<T> {
    this.get(name);
    return this.#overlays.use(name, work).catch((error: unknown) => {
      throw ofDisk(name, error);
    });
  }

  /**
   * Does something with an overlay that nobody may have open meanwhile, who is told that it is `what`. Rejects with
   * BusyError where somebody has, and as withOverlay does.
   */
  async exclusively<T>(name: string, what: string, work: (overlay: Overlay) => Promise<T>): Promise<T> {
    this.get(name);
    return this.#overlays.exclusively(name, what, work).catch((error: unknown) => {
      throw ofDisk(name, error);
    });
  }

  /** Flushes and closes everything that is open, interrupts additions. Disks must not be used any more. */
  async close(): Promise<void> {
    try {
      await this.#overlays.close();
    } finally {
      await this.#bases.close();
    }
  }

  #has(name: string): boolean {
    return isName(name) && existsSync(join(this.#dir, name));
  }
}
