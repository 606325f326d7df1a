/**
 * Base images: BASES/NAME.img (raw, sparse, read-only for ever) and BASES/NAME.json beside it; which of its blocks are
 * zeroes, in BASES/NAME.zeros (zero-map.ts). The content's SHA-256 is part of a base's identity, so that an overlay is
 * never put over anything but what it was made for. NAME.json also has the file's inode number and time of change: where
 * they differ the content is verified before it is used.
 */
import { chmodSync, existsSync, linkSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
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
  sectorSizeIn,
  withImageFile,
} from './base-image.ts';
import { type BaseRecord, type BaseView, parseRecord } from './base-record.ts';
import { type DamagedView, viewsOf } from './damaged.ts';
import { ImagesInUse } from './images-in-use.ts';
import { deleteTaken, finishRemoval, finishRemovals, takeBase } from './removed-files.ts';
import { StoreError, UnknownNameError } from './store-error.ts';
import { inWords } from './system-error.ts';
import { ZeroMap } from './zero-map.ts';

/** For messages about an image that is not what it was. */
const WAY_BACK = 'adding the same image again puts it back';

export class Bases {
  readonly #dir: string;
  readonly #inUse = new ImagesInUse();
  /** Images whose content was read and found wrong, with what their files were then. */
  readonly #wrong = new Map<string, { identity: string; damage: string }>();
  readonly #additions = new Additions(StoreError);
  /** Of images that are being added: the share that was read. */
  readonly #shares = new Map<string, number>();

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

  /** The bases, by name. Damaged ones are left out: see views(). */
  list(): BaseView[] {
    return this.views().filter((base) => 'size' in base);
  }

  /** The bases, by name, damaged ones, too. */
  views(): (BaseView | DamagedView)[] {
    return viewsOf(this.names(), (name) => this.#read(name));
  }

  /** What is wrong with bases: with those that list() leaves out, and those that are refused now. */
  problems(): string[] {
    return this.views().flatMap(({ damage }) => damage ?? []);
  }

  /** The base of that name, or undefined. Throws StoreError where it is there but damaged. */
  find(name: string): BaseView | undefined {
    return this.#isDescribed(name) ? this.#read(name) : undefined;
  }

  /** Like `find`; throws UnknownNameError where there is no such base. */
  get(name: string): BaseView {
    const view = this.find(name);
    if (view === undefined) throw new UnknownNameError('base image', name, this.names());
    return view;
  }

  /** What was added under that name, be it damaged now. */
  #known(name: string): BaseRecord | undefined {
    return this.#isDescribed(name) ? this.#record(name) : undefined;
  }

  #isDescribed(name: string): boolean {
    return isName(name) && existsSync(this.#description(name));
  }

  #read(name: string): BaseView {
    const { size, digest } = this.#record(name);
    const path = this.#image(name);
    const image = orDamaged(name, () => statSync(path, { throwIfNoEntry: false }));
    if (image?.size !== size) {
      const wrong =
        image === undefined ? `${path} is missing` : `its image has ${image.size} bytes, not ${size}`;
      throw new StoreError(`base image "${name}" is damaged: ${wrong}; ${WAY_BACK}`);
    }
    const damage = this.#inUse.damage(name) ?? this.#foundWrong(name);
    const view = { name, size, digest, allocatedBytes: image.blocks * 512 };
    return damage === undefined ? view : { ...view, damage };
  }

  #foundWrong(name: string): string | undefined {
    const found = this.#wrong.get(name);
    return found && found.identity === this.#identityNow(name) ? found.damage : undefined;
  }

  #identityNow(name: string): string | undefined {
    return existsSync(this.#image(name)) ? identityOf(this.#image(name)) : undefined;
  }

  /** Why no disk over a base can be opened now; undefined where nothing is known to be wrong. Reads no content. */
  damage(name: string): string | undefined {
    try {
      return this.get(name).damage;
    } catch (error) {
      if (error instanceof StoreError) return error.message;
      throw error;
    }
  }

  /** See sectorSizeIn. */
  sectorSize(name: string): number {
    return sectorSizeIn(this.#image(name));
  }

  #record(name: string): BaseRecord {
    return orDamaged(name, () => parseRecord(readFileSync(this.#description(name), 'utf8')));
  }

  /**
   * Takes a copy of the raw image in `file` in as `name`. A name stands for one content for ever: adding the same
   * content again changes nothing but to put a file back that is gone or was changed; other content is refused (StoreError),
   * as is a file that is no plain one, or that is written to meanwhile. Durable once it resolves.
   */
  add(name: string, file: string): Promise<BaseView> {
    return this.#additions.run((signal) => withImageFile(file, (source) => this.#add(name, source, signal)));
  }

  /** Like `add`, with content from anywhere. */
  addContent(name: string, source: ImageSource): Promise<BaseView> {
    return this.#additions.run((signal) => this.#add(name, source, signal));
  }

  /** Throws StoreError where content of `size` bytes cannot become `name`, as far as that is known without reading it. */
  mayAdd(name: string, size: number): void {
    if (!isName(name))
      throw new StoreError(`"${name}" cannot be a base image's name: 1 to 63 of a-z 0-9 . _ -`);
    const known = this.#known(name);
    if (known !== undefined && known.size !== size)
      throw new StoreError(
        `base image "${name}" exists with other content: it has ${known.size} bytes, not ${size}`,
      );
  }

  /** The share, 0 to 1, that was read of what is being added as `name`; null where nothing is. */
  progress(name: string): number | null {
    return this.#shares.get(name) ?? null;
  }

  async #add(name: string, source: ImageSource, signal: AbortSignal): Promise<BaseView> {
    this.mayAdd(name, source.size);
    this.#shares.set(name, 0);
    const copy = unfinishedPath(this.#dir);
    try {
      const { size } = source;
      const read = async (target: Uint8Array, offset: number): Promise<void> => {
        await source.read(target, offset);
        this.#shares.set(name, (offset + target.length) / size);
      };
      const { digest, zeros } = await copySparsely({ ...source, read }, copy, signal);
      const known = this.#known(name);
      if (known !== undefined && known.digest !== digest)
        throw new StoreError(`base image "${name}" exists with other content (${known.digest.slice(0, 12)})`);
      if (known === undefined) finishRemoval(this.#dir, name);
      if (known === undefined || known.identity !== this.#identityNow(name)) {
        chmodSync(copy, 0o444);
        // An image without its description is an addition that a crash cut short; one that is not as described is put back.
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
      this.#shares.delete(name);
      rmSync(copy, { force: true });
    }
    return this.get(name);
  }

  /**
   * The image's content, opened once and shared by all who read it, until each has given it back (`release`). Rejects with
   * StoreError where it is not what it was when it was added: a file with another inode or time is read to find that out.
   */
  async content(name: string): Promise<BaseImage> {
    for (;;) {
      const open = this.#inUse.take(name);
      if (open !== undefined) return open;
      const { size, digest } = this.get(name);
      if (this.#record(name).identity === identityOf(this.#image(name))) {
        const image = new BaseImage(name, this.#image(name), size, this.#zeros(name));
        this.#inUse.add(image);
        return image;
      }
      // Meanwhile another call may open it, or somebody write to it.
      await this.#verify(name, size, digest);
    }
  }

  /** Gives what `content` gave back: after the last user the next open looks at the file anew. */
  release(image: BaseImage): void {
    this.#inUse.release(image);
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
    if (found !== digest) {
      const damage = `base image "${name}" was changed: its content is not what was added; ${WAY_BACK}`;
      this.#wrong.set(name, { identity, damage });
      throw new StoreError(damage);
    }
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
    this.#wrong.delete(name);
    await deleteTaken(`base image "${name}"`, taken);
  }

  /** Looks whether images in use were changed. */
  look(): void {
    this.#inUse.look();
  }

  /** Interrupts additions, and closes the images. */
  async close(): Promise<void> {
    await this.#additions.close();
    this.#inUse.close();
  }

  #image(name: string): string {
    return join(this.#dir, `${name}.img`);
  }

  #description(name: string): string {
    return join(this.#dir, `${name}.json`);
  }
}

/** What `work` gives; throws StoreError where it fails. */
function orDamaged<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new StoreError(`base image "${name}" is damaged: ${(error as Error).message}`, { cause: error });
  }
}
