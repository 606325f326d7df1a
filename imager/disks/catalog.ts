/**
 * The disks there are: base images under DIR/bases (bases.ts), overlays under DIR/disks/NAME/overlay (README.md).
 * The folders are the truth, so a disk made by another process (the command line) is there at once.
 *
 * Exports: an overlay by its name; a base image, read-only, as `base:NAME`.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { isName } from '../../agent/protocol/names.ts';
import { removeUnfinished, syncPath, unfinishedPath } from '../storage/durable.ts';
import { AttachedOverlay } from './attached-overlay.ts';
import { BaseDisk } from './base-disk.ts';
import { Bases, type BaseView } from './bases.ts';
import { SystemFile } from './block-file.ts';
import type { BaseContent } from './block-reader.ts';
import type { Disk, DiskCatalog, DiskClient } from './disk.ts';
import { BLOCK_SIZE, FormatError } from './format.ts';
import { Overlay } from './overlay.ts';
import { FILE_NAME, readSuperblock, writeEmptyOverlay } from './overlay-file.ts';
import { OverlayStore } from './overlay-store.ts';
import { BusyError, StoreError, UnknownNameError } from './store-error.ts';
import type { Superblock } from './superblock.ts';

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
  /** How many generations are kept. */
  generations: number;
  /** The generation that the disk was made from; 0: none. */
  parent: number;
  /** Address of the client that has it open. */
  attached?: string;
}

export type MayOpen = (disk: string, client: DiskClient) => true | string;

/** An overlay that is open here. It stays open until it is flushed after its client left. */
interface OpenOverlay {
  overlay: Overlay;
  holder: DiskClient | undefined;
  /** Flushes under way for clients that left, and other work: the last one closes the overlay. */
  users: number;
}

const BASE_EXPORT = 'base:';

type Refusal = { refused: 'unknown' | 'policy'; why: string };

export class Disks implements DiskCatalog {
  readonly #dir: string;
  readonly #bases: Bases;
  readonly #log: Logger;
  readonly #mayOpen: MayOpen;
  readonly #open = new Map<string, OpenOverlay>();
  /** Overlays that are being closed: nobody may open them before. */
  readonly #closing = new Map<string, Promise<void>>();

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
  async create(name: string, base: string): Promise<DiskView> {
    if (!isName(name)) throw new StoreError(`"${name}" cannot be a disk's name: 1 to 63 of a-z 0-9 . _ -`);
    const { size, digest } = this.#bases.get(base);
    const path = unfinishedPath(this.#dir);
    try {
      mkdirSync(path);
      writeEmptyOverlay(path, { name: base, size, digest }, size, newSalt());
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
    const open = this.#open.get(name);
    const { base, size, blocks, table, parent } = open?.overlay.store.superblock ?? this.#superblock(name);
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
      ...(open?.holder === undefined ? {} : { attached: open.holder.address }),
    };
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
        ? (this.#open.get(name)?.overlay ?? this.#superblock(name))
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
    if (found.readOnly) return new BaseDisk(name, await this.#bases.content(name.slice(BASE_EXPORT.length)));
    try {
      const open = await this.#opened(name);
      if (open.holder !== undefined)
        return { refused: 'busy', why: `disk "${name}" is in use by ${open.holder.address}` };
      open.holder = client;
      return new AttachedOverlay(open.overlay, () => this.#release(name, open));
    } catch (error) {
      if (error instanceof BusyError) return { refused: 'busy', why: error.message };
      throw error;
    }
  }

  /** The overlay, open. Whoever asked takes it in the same step of the event loop. Rejects with StoreError. */
  async #opened(name: string): Promise<OpenOverlay> {
    for (;;) {
      const closing = this.#closing.get(name);
      if (closing !== undefined) await closing;
      else {
        const open = this.#open.get(name);
        if (open !== undefined) return open;
        const { base } = this.#superblock(name);
        const content = await this.#bases.content(base.name);
        if (!this.#closing.has(name) && !this.#open.has(name)) return this.#load(name, content);
      }
    }
  }

  #load(name: string, base: BaseContent): OpenOverlay {
    const file = new SystemFile(join(this.#dir, name, FILE_NAME), 'r+');
    try {
      if (!file.lock()) throw new BusyError(`disk "${name}" is in use by another process of this machine`);
      const store = OverlayStore.open(file, {
        name,
        salt: newSalt,
        warn: (message, detail) => this.#log.warn({ disk: name, ...detail }, message),
      });
      const made = store.superblock.base;
      const there = this.#bases.get(made.name);
      if (there.digest !== made.digest || there.size !== made.size)
        throw new FormatError(`it was made over another content of base "${made.name}"`);
      const open = { overlay: new Overlay(name, store, base), holder: undefined, users: 0 };
      this.#open.set(name, open);
      return open;
    } catch (error) {
      file.close();
      throw error instanceof StoreError ? error : damaged(name, error);
    }
  }

  /**
   * Does something with an overlay, whether a client has it or not. Rejects with StoreError where it cannot be opened.
   */
  async withOverlay<T>(name: string, work: (overlay: Overlay, held: boolean) => Promise<T>): Promise<T> {
    if (!this.#has(name)) throw new UnknownNameError('disk', name, this.names());
    const open = await this.#opened(name);
    return this.#used(name, open, () => work(open.overlay, open.holder !== undefined));
  }

  /**
   * The client is gone: flush, and close the overlay unless another client came meanwhile. That one may be gone again
   * too, and its flush still under way: then the overlay is the flush's, for the file tells of it only afterwards.
   */
  #release(name: string, open: OpenOverlay): Promise<void> {
    open.holder = undefined;
    return this.#used(name, open, () => open.overlay.flush());
  }

  async #used<T>(name: string, open: OpenOverlay, work: () => Promise<T>): Promise<T> {
    open.users++;
    try {
      return await work();
    } finally {
      open.users--;
      if (open.users === 0 && open.holder === undefined && this.#open.get(name) === open) {
        this.#open.delete(name);
        const closing = open.overlay.close().finally(() => this.#closing.delete(name));
        this.#closing.set(
          name,
          closing.catch(() => undefined),
        );
        await closing;
      }
    }
  }

  /** Flushes and closes everything that is open, interrupts additions. Disks must not be used any more. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map(([name, open]) => this.#release(name, open)));
    await Promise.all(this.#closing.values());
    await this.#bases.close();
  }

  #has(name: string): boolean {
    return isName(name) && existsSync(join(this.#dir, name));
  }

  /** What the superblock of a disk that is there says. Throws StoreError where that is not what it must be. */
  #superblock(name: string): Superblock {
    const dir = join(this.#dir, name);
    try {
      return readSuperblock(dir);
    } catch (error) {
      if (existsSync(join(dir, 'disk.json')) && !existsSync(join(dir, FILE_NAME)))
        throw new StoreError(`disk "${name}" has the format of an earlier version: make it anew`);
      throw damaged(name, error);
    }
  }
}

/** 8 random bytes, hexadecimal. */
function newSalt(): string {
  return randomBytes(8).toString('hex');
}

/** A disk whose file is not what it must be. */
function damaged(name: string, error: unknown): StoreError {
  return new StoreError(`disk "${name}" is damaged: ${(error as Error).message}`, { cause: error });
}
