/**
 * Base images: BASES/NAME.img (raw, sparse, read-only for ever) and BASES/NAME.json beside it; which of its blocks are
 * zeroes, in BASES/NAME.zeros (zero-map.ts). The content's SHA-256 is part of a base's identity, so that an overlay is never put over anything but what it was made for. NAME.json also has
 * the file's inode number and time of change: where they differ the content is verified before it is used.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { isName } from '../../agent/protocol/names.ts';
import { Additions } from '../storage/additions.ts';
import {
  makeFolder,
  removeUnfinished,
  replaceDurably,
  syncPath,
  unfinishedPath,
} from '../storage/durable.ts';
import {
  BaseImage,
  copySparsely,
  digestOf,
  type ImageSource,
  identityOf,
  withImageFile,
} from './base-image.ts';
import type { BaseContent } from './block-reader.ts';
import { HEAD_LENGTH, sectorSizeOf } from './file-system.ts';
import { BLOCK_SIZE } from './format.ts';
import { deleteTaken, finishRemoval, finishRemovals, takeBase } from './removed-files.ts';
import { StoreError, UnknownNameError } from './store-error.ts';
import { inWords } from './system-error.ts';
import { ZeroMap } from './zero-map.ts';

export interface BaseView {
  name: string;
  /** Bytes. */
  size: number;
  /** SHA-256 of the content, lower-case hexadecimal. */
  digest: string;
  /** Bytes the image takes up on the imager's disk. */
  allocatedBytes: number;
}

/** How often images in use are looked at for changes. */
const LOOK_MS = 250;

/** What NAME.json says. */
interface BaseRecord {
  size: number;
  digest: string;
  /** Of the image's file: inode number and time of the last change of its content, as text. */
  identity: string;
}

export class Bases {
  readonly #dir: string;
  readonly #images = new Map<string, BaseImage>();
  #looking: NodeJS.Timeout | undefined;
  readonly #additions = new Additions(StoreError);

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Opens the store in `dir`, which is made where it is missing. */
  static open(dir: string): Bases {
    makeFolder(dir);
    removeUnfinished(dir);
    finishRemovals(dir);
    return new Bases(dir);
  }

  /** The store in `dir`, which another process may be at work in: for reading. */
  static at(dir: string): Bases {
    return new Bases(dir);
  }

  /** All names, damaged bases' too: a look at the folder, no more. */
  names(): string[] {
    return readdirSync(this.#dir)
      .filter((entry) => entry.endsWith('.json'))
      .map((entry) => entry.slice(0, -'.json'.length))
      .filter(isName)
      .sort();
  }

  /** The bases, by name. Damaged ones are left out: see problems(). */
  list(): BaseView[] {
    return this.#all().filter((base): base is BaseView => !(base instanceof StoreError));
  }

  /** What is wrong with the bases that list() leaves out. */
  problems(): string[] {
    return this.#all()
      .filter((base) => base instanceof StoreError)
      .map((error) => error.message);
  }

  #all(): (BaseView | StoreError)[] {
    return this.names().map((name) => {
      try {
        return this.#read(name);
      } catch (error) {
        if (error instanceof StoreError) return error;
        throw error;
      }
    });
  }

  /** The base of that name, or undefined. Throws StoreError where it is there but damaged. */
  find(name: string): BaseView | undefined {
    return isName(name) && existsSync(join(this.#dir, `${name}.json`)) ? this.#read(name) : undefined;
  }

  /** Like `find`; throws UnknownNameError where there is no such base. */
  get(name: string): BaseView {
    const view = this.find(name);
    if (view === undefined) throw new UnknownNameError('base image', name, this.names());
    return view;
  }

  #read(name: string): BaseView {
    try {
      const { size, digest } = this.#record(name);
      const image = statSync(this.#image(name));
      if (image.size !== size) throw new Error(`its image has ${image.size} bytes, not ${size}`);
      return { name, size, digest, allocatedBytes: image.blocks * 512 };
    } catch (error) {
      throw new StoreError(`base image "${name}" is damaged: ${(error as Error).message}`, { cause: error });
    }
  }

  /**
   * Bytes of the sectors that a device has to have for what is on the image (file-system.ts); 4096 where it cannot be
   * read, which whoever opens it will hear of.
   */
  sectorSize(name: string): number {
    const head = Buffer.alloc(HEAD_LENGTH);
    try {
      const fd = openSync(this.#image(name), 'r');
      try {
        return sectorSizeOf(head.subarray(0, readSync(fd, head, 0, head.length, 0)));
      } finally {
        closeSync(fd);
      }
    } catch {
      return BLOCK_SIZE;
    }
  }

  #record(name: string): BaseRecord {
    return parseRecord(readFileSync(join(this.#dir, `${name}.json`), 'utf8'));
  }

  /**
   * Takes a copy of the raw image in `file` in as `name`. A name stands for one content for ever: adding the same
   * content again changes nothing, other content is refused (StoreError), as is a file that is no plain one, or that is
   * written to meanwhile. Durable once it resolves.
   */
  add(name: string, file: string): Promise<BaseView> {
    return this.#additions.run((signal) => withImageFile(file, (source) => this.#add(name, source, signal)));
  }

  /** Like `add`, with content from anywhere. */
  addContent(name: string, source: ImageSource): Promise<BaseView> {
    return this.#additions.run((signal) => this.#add(name, source, signal));
  }

  async #add(name: string, source: ImageSource, signal: AbortSignal): Promise<BaseView> {
    if (!isName(name))
      throw new StoreError(`"${name}" cannot be a base image's name: 1 to 63 of a-z 0-9 . _ -`);
    const copy = unfinishedPath(this.#dir);
    try {
      const { size } = source;
      const { digest, zeros } = await copySparsely(source, copy, signal);
      const known = this.find(name);
      if (known !== undefined && known.digest !== digest)
        throw new StoreError(`base image "${name}" exists with other content (${known.digest.slice(0, 12)})`);
      if (known === undefined) {
        finishRemoval(this.#dir, name);
        chmodSync(copy, 0o444);
        // An image without its description is an addition that a crash cut short.
        rmSync(this.#image(name), { force: true });
        linkSync(copy, this.#image(name));
        replaceDurably(this.#dir, `${name}.zeros`, zeros.encode(digest));
        const identity = identityOf(this.#image(name));
        replaceDurably(this.#dir, `${name}.json`, `${JSON.stringify({ name, size, digest, identity })}\n`);
      } else {
        // Who added it may have been stopped before its names were durable.
        syncPath(this.#dir);
      }
    } catch (error) {
      throw inWords(error, `${this.#image(name)} cannot be written`);
    } finally {
      rmSync(copy, { force: true });
    }
    return this.get(name);
  }

  /**
   * The image's content, opened once and shared by all who read it. Rejects with StoreError where it is not what it was
   * when it was added: a file with another inode or time is read to find that out.
   */
  async content(name: string): Promise<BaseContent> {
    const open = this.#images.get(name);
    if (open !== undefined) {
      open.intact();
      return open;
    }
    const { size, digest } = this.get(name);
    if (this.#record(name).identity !== identityOf(this.#image(name))) await this.#verify(name, size, digest);
    // Another call may have opened it meanwhile.
    const image = this.#images.get(name) ?? new BaseImage(name, this.#image(name), size, this.#zeros(name));
    this.#images.set(name, image);
    this.#looking ??= setInterval(() => this.look(), LOOK_MS).unref();
    return image;
  }

  /** Which blocks of the image are zeroes; none are known to be where that was not written down, or is damaged. */
  #zeros(name: string): ZeroMap {
    const { size, digest } = this.get(name);
    const path = join(this.#dir, `${name}.zeros`);
    return (existsSync(path) && ZeroMap.decode(readFileSync(path), size, digest)) || new ZeroMap(size);
  }

  async #verify(name: string, size: number, digest: string): Promise<void> {
    const identity = identityOf(this.#image(name));
    const found = await this.#additions.run((signal) => digestOf(this.#image(name), signal));
    if (found !== digest)
      throw new StoreError(`base image "${name}" was changed: its content is not what was added`);
    replaceDurably(this.#dir, `${name}.json`, `${JSON.stringify({ name, size, digest, identity })}\n`);
  }

  /**
   * Reads a whole image and compares it with what was added; `took` is told how many bytes were read. Gives what is wrong,
   * undefined where nothing is. Rejects with UnknownNameError.
   */
  async verify(name: string, took: (bytes: number) => void): Promise<string | undefined> {
    try {
      const { digest } = this.get(name);
      const found = await this.#additions.run((signal) => digestOf(this.#image(name), signal, took));
      return found === digest
        ? undefined
        : `base image "${name}" is damaged: its content has sha256 ${found}, not ${digest}`;
    } catch (error) {
      if (error instanceof UnknownNameError || !(error instanceof StoreError)) throw error;
      return error.message;
    }
  }

  /**
   * Removes a base image that nobody uses, damaged or not, and what lies beside it. Gone and durably so for everybody when
   * it returns, its space later. Rejects with UnknownNameError, StoreError.
   */
  async remove(name: string): Promise<void> {
    const names = this.names();
    if (!names.includes(name)) throw new UnknownNameError('base image', name, names);
    const taken = takeBase(this.#dir, name);
    this.#images.get(name)?.file.close();
    this.#images.delete(name);
    await deleteTaken(`base image "${name}"`, taken);
  }

  /** Looks whether images in use were changed. */
  look(): void {
    for (const image of this.#images.values()) image.look();
  }

  /** Interrupts additions, and closes the images. */
  async close(): Promise<void> {
    clearInterval(this.#looking);
    this.#looking = undefined;
    await this.#additions.close();
    for (const image of this.#images.values()) image.file.close();
    this.#images.clear();
  }

  #image(name: string): string {
    return join(this.#dir, `${name}.img`);
  }
}

/** What a NAME.json says. Throws Error where it is not that. */
function parseRecord(text: string): BaseRecord {
  const { size, digest, identity } = JSON.parse(text) as Record<keyof BaseRecord, unknown>;
  if (!Number.isSafeInteger(size) || typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest))
    throw new Error('its description has no size or no digest');
  return { size: Number(size), digest, identity: String(identity) };
}
