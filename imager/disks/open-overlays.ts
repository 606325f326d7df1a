/** The overlays that are open, and who has them. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { AttachedOverlay } from './attached-overlay.ts';
import type { BaseImage } from './base-image.ts';
import type { Bases } from './bases.ts';
import { SystemFile } from './block-file.ts';
import type { DiskClient } from './disk.ts';
import { FormatError } from './format.ts';
import { Overlay } from './overlay.ts';
import { FILE_NAME, readSuperblock, superblockIn } from './overlay-file.ts';
import { OverlayStore } from './overlay-store.ts';
import { BusyError, StoreError } from './store-error.ts';
import type { Superblock } from './superblock.ts';

/** An overlay that is open here. */
export interface OpenOverlay {
  overlay: Overlay;
  /** What it is over, given back at its close. */
  image: BaseImage;
  holder: DiskClient | undefined;
  /** What is done to it that no client may see. */
  busy: string | undefined;
  /** Flushes under way for clients that left, and other work: the last one closes the overlay. */
  users: number;
  /** Nobody has it; it is closed by this timer. */
  lingering: NodeJS.Timeout | undefined;
}

export class OpenOverlays {
  readonly #dir: string;
  readonly #bases: Bases;
  readonly #log: Logger;
  readonly #lingerMs: number;
  readonly #open = new Map<string, OpenOverlay>();
  /** Overlays that are being opened: whoever wants one waits for that. */
  readonly #opening = new Map<string, Promise<void>>();
  /** Overlays that are being closed: nobody may open them before. */
  readonly #closing = new Map<string, Promise<void>>();

  /**
   * Those in the folder `dir`. An overlay stays open for `lingerMs` after its client left and it was flushed: who comes back
   * finds the pages of free places in the page cache. Only at its close they are given back.
   */
  constructor(dir: string, bases: Bases, log: Logger, lingerMs: number) {
    this.#dir = dir;
    this.#bases = bases;
    this.#log = log;
    this.#lingerMs = lingerMs;
  }

  /** The overlay, where it is open. */
  get(name: string): OpenOverlay | undefined {
    return this.#open.get(name);
  }

  /** Gives an overlay to a client. Rejects with BusyError where somebody has it, StoreError where it cannot be opened. */
  async attach(name: string, client: DiskClient): Promise<AttachedOverlay> {
    return this.#opened(name, (open) => {
      if (open.holder !== undefined)
        throw new BusyError(`disk "${name}" is in use by ${open.holder.address}`);
      if (open.busy !== undefined) throw new BusyError(`disk "${name}" is ${open.busy}`);
      open.holder = client;
      return new AttachedOverlay(open.overlay, () => this.#release(name, open));
    });
  }

  /** Does something with an overlay, whether a client has it or not. Rejects with StoreError where it cannot be opened. */
  async use<T>(name: string, work: (overlay: Overlay) => Promise<T>): Promise<T> {
    return this.#opened(name, (open) => this.#used(name, open, () => work(open.overlay)));
  }

  /** Does something with an overlay that is `what` for all others meanwhile. Rejects with BusyError where it is in use. */
  async exclusively<T>(name: string, what: string, work: (overlay: Overlay) => Promise<T>): Promise<T> {
    return this.#opened(name, (open) => {
      if (open.holder !== undefined)
        throw new BusyError(`disk "${name}" is in use by ${open.holder.address}: stop that first`);
      if (open.busy !== undefined) throw new BusyError(`disk "${name}" is ${open.busy}`);
      open.busy = what;
      return this.#used(name, open, async () => {
        try {
          return await work(open.overlay);
        } finally {
          open.busy = undefined;
        }
      });
    });
  }

  /**
   * Runs `work`, in one step, on an overlay that is not open and that nobody is about to open: one that lingers is closed
   * before. Rejects with BusyError where it is in use.
   */
  async unused<T>(name: string, work: () => T): Promise<T> {
    for (;;) {
      const under = this.#closing.get(name) ?? this.#opening.get(name);
      const open = this.#open.get(name);
      // What it ends with is told to who asked for it.
      if (under !== undefined) await under.catch(() => undefined);
      else if (open === undefined) return work();
      else if (open.lingering !== undefined) await this.#close(name, open).catch(() => undefined);
      else throw new BusyError(inUse(name, open));
    }
  }

  /**
   * Opens the overlay where it is not, and gives it to `take` in the step in which it is found open: a step later its last
   * user may have begun to close it. Rejects with StoreError.
   */
  async #opened<T>(name: string, take: (open: OpenOverlay) => T | Promise<T>): Promise<T> {
    for (;;) {
      const under = this.#closing.get(name) ?? this.#opening.get(name);
      const open = this.#open.get(name);
      if (under !== undefined) await under;
      else if (open === undefined) await this.#begin(name);
      else if (open.lingering !== undefined && !this.#sound(name, open))
        await this.#close(name, open).catch(() => undefined);
      else {
        clearTimeout(open.lingering);
        open.lingering = undefined;
        return take(open);
      }
    }
  }

  #begin(name: string): Promise<void> {
    const opening = this.#load(name).finally(() => this.#opening.delete(name));
    this.#opening.set(name, opening);
    return opening;
  }

  async #load(name: string): Promise<void> {
    const { base } = superblockOf(this.#dir, name);
    if (this.#bases.damage(base.name) !== undefined) await this.#closeUnsound();
    const image = await this.#bases.content(base.name);
    try {
      await this.#loadOver(name, image);
    } catch (error) {
      this.#bases.release(image);
      throw error;
    }
  }

  /** Nobody has those that linger: they shall not keep a base image that was changed from being looked at anew. */
  async #closeUnsound(): Promise<void> {
    for (const [name, open] of this.#open)
      if (open.lingering !== undefined && !this.#sound(name, open))
        void this.#close(name, open).catch(() => undefined);
    await Promise.all(this.#closing.values());
  }

  async #loadOver(name: string, image: BaseImage): Promise<void> {
    const file = new SystemFile(join(this.#dir, name, FILE_NAME), 'r+');
    try {
      if (!file.lock()) throw new BusyError(`disk "${name}" is in use by another process of this machine`);
      const { base: made } = superblockIn(file);
      const there = this.#bases.get(made.name);
      if (there.digest !== made.digest || there.size !== made.size)
        throw new FormatError(`it was made over another content of base "${made.name}"`);
      // Last: from then on the store works on the file.
      const store = await OverlayStore.openInTurns(file, {
        name,
        salt: newSalt,
        warn: (message, detail) => this.#log.warn({ disk: name, ...detail }, message),
      });
      const overlay = new Overlay(name, store, image);
      const free = { holder: undefined, busy: undefined, users: 0, lingering: undefined };
      this.#open.set(name, { overlay, image, ...free });
    } catch (error) {
      file.close();
      throw error instanceof StoreError ? error : damaged(name, error);
    }
  }

  /**
   * The client is gone: flush, and close the overlay in a while unless another client came meanwhile. That one may be gone
   * again too, and its flush still under way: then the overlay is the flush's, for the file tells of it only afterwards.
   */
  #release(name: string, open: OpenOverlay): Promise<void> {
    open.holder = undefined;
    return this.#used(name, open, () => open.overlay.flush(), this.#lingerMs);
  }

  /** What fails, is not sound, or has no time to linger, is closed at once where nobody else uses it. */
  async #used<T>(name: string, open: OpenOverlay, work: () => Promise<T>, lingerMs = 0): Promise<T> {
    open.users++;
    let ms = 0;
    try {
      const result = await work();
      ms = this.#sound(name, open) ? lingerMs : 0;
      return result;
    } finally {
      open.users--;
      if (open.users === 0 && open.holder === undefined && this.#open.get(name) === open) {
        if (ms === 0) await this.#close(name, open);
        else {
          const close = (): void => void this.#close(name, open).catch(() => undefined);
          open.lingering = setTimeout(close, ms).unref();
        }
      }
    }
  }

  /** Whether what lingers is what would be opened. */
  #sound(name: string, { overlay }: OpenOverlay): boolean {
    try {
      overlay.base.intact();
      overlay.store.flushes.writable();
      return overlay.store.file.isAt(join(this.#dir, name, FILE_NAME));
    } catch {
      return false;
    }
  }

  #close(name: string, open: OpenOverlay): Promise<void> {
    clearTimeout(open.lingering);
    this.#open.delete(name);
    const closing = open.overlay.close().finally(() => {
      this.#bases.release(open.image);
      this.#closing.delete(name);
    });
    this.#closing.set(
      name,
      closing.catch(() => undefined),
    );
    return closing;
  }

  /** Flushes and closes all of them; rejects once that is done where it failed for one. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    const flush = ([name, open]: [string, OpenOverlay]): Promise<void> => {
      clearTimeout(open.lingering);
      open.holder = undefined;
      return this.#used(name, open, () => open.overlay.flush());
    };
    const closed = await Promise.allSettled([...this.#open].map(flush));
    await Promise.all(this.#closing.values());
    const failed = closed.find((close) => close.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}

/** What the superblock of the disk in the folder `dir` says. Throws StoreError where that is not what it must be. */
export function superblockOf(dir: string, name: string): Superblock {
  const path = join(dir, name);
  try {
    return readSuperblock(path);
  } catch (error) {
    if (existsSync(join(path, 'disk.json')) && !existsSync(join(path, FILE_NAME)))
      throw new StoreError(`disk "${name}" has the format of an earlier version: make it anew`);
    throw damaged(name, error);
  }
}

/** Who has an overlay that is open, or what is done with it. */
function inUse(name: string, { holder, busy }: OpenOverlay): string {
  if (holder !== undefined) return `disk "${name}" is in use by ${holder.address}: stop that first`;
  return `disk "${name}" is ${busy ?? 'being flushed or worked on'}: try again when that is done`;
}

/** 8 random bytes, hexadecimal. */
export function newSalt(): string {
  return randomBytes(8).toString('hex');
}

/** A disk whose file is not what it must be. */
function damaged(name: string, error: unknown): StoreError {
  return new StoreError(`disk "${name}" is damaged: ${(error as Error).message}`, { cause: error });
}
