/**
 * Base images: BASES/NAME.img (raw, sparse, read-only for ever) and BASES/NAME.json beside it; which of its blocks are
 * zeroes, in BASES/NAME.zeros (zero-map.ts). The content's SHA-256 is part of a base's identity, so that an overlay is never put over anything but what it was made for.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { isName } from '../../agent/protocol/names.ts';
import { Additions } from '../storage/additions.ts';
import { removeUnfinished, replaceDurably, unfinishedPath } from '../storage/durable.ts';
import { type BlockFile, SystemFile } from './block-file.ts';
import { type Disk, DiskError, type Extent } from './disk.ts';
import { BLOCK_SIZE, MAX_DISK_SIZE } from './map-format.ts';
import { StoreError, UnknownNameError } from './store-error.ts';
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

const COPY_LENGTH = 1024 * 1024;

export class Bases {
  readonly #dir: string;
  readonly #files = new Map<string, BlockFile>();
  readonly #zeros = new Map<string, ZeroMap>();
  readonly #additions = new Additions(StoreError);

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Opens the store in `dir`, which is made where it is missing. */
  static open(dir: string): Bases {
    mkdirSync(dir, { recursive: true });
    removeUnfinished(dir);
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
      const { size, digest } = parseRecord(readFileSync(join(this.#dir, `${name}.json`), 'utf8'));
      const image = statSync(this.#image(name));
      if (image.size !== size) throw new Error(`its image has ${image.size} bytes, not ${size}`);
      return { name, size, digest, allocatedBytes: image.blocks * 512 };
    } catch (error) {
      throw new StoreError(`base image "${name}" is damaged: ${(error as Error).message}`, { cause: error });
    }
  }

  /**
   * Takes a copy of the raw image in `file` in as `name`. A name stands for one content for ever: adding the same
   * content again changes nothing, other content is refused (StoreError).
   */
  add(name: string, file: string): Promise<BaseView> {
    return this.#additions.run((signal) => this.#add(name, file, signal));
  }

  async #add(name: string, file: string, signal: AbortSignal): Promise<BaseView> {
    if (!isName(name))
      throw new StoreError(`"${name}" cannot be a base image's name: 1 to 63 of a-z 0-9 . _ -`);
    const copy = unfinishedPath(this.#dir);
    try {
      const { size, digest, zeros } = await copySparsely(file, copy, signal);
      const known = this.find(name);
      if (known !== undefined && known.digest !== digest)
        throw new StoreError(`base image "${name}" exists with other content (${known.digest.slice(0, 12)})`);
      if (known === undefined) {
        chmodSync(copy, 0o444);
        // An image without its description is an addition that a crash cut short.
        rmSync(this.#image(name), { force: true });
        linkSync(copy, this.#image(name));
        replaceDurably(this.#dir, `${name}.zeros`, zeros.encode(digest));
        replaceDurably(this.#dir, `${name}.json`, `${JSON.stringify({ name, size, digest })}\n`);
      }
    } finally {
      rmSync(copy, { force: true });
    }
    return this.get(name);
  }

  /** The image's content, opened once and shared by all who read it. */
  content(name: string): BlockFile {
    let file = this.#files.get(name);
    if (file === undefined) {
      file = new SystemFile(this.#image(name), 'r');
      this.#files.set(name, file);
    }
    return file;
  }

  /** Which blocks of the image are zeroes; none are known to be where that was not written down, or is damaged. */
  zeros(name: string): ZeroMap {
    let zeros = this.#zeros.get(name);
    if (zeros === undefined) {
      zeros = this.#readZeros(name);
      this.#zeros.set(name, zeros);
    }
    return zeros;
  }

  #readZeros(name: string): ZeroMap {
    const { size, digest } = this.get(name);
    const path = join(this.#dir, `${name}.zeros`);
    return (existsSync(path) && ZeroMap.decode(readFileSync(path), size, digest)) || new ZeroMap(size);
  }

  /** Interrupts additions, and closes the images. */
  async close(): Promise<void> {
    await this.#additions.close();
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  #image(name: string): string {
    return join(this.#dir, `${name}.img`);
  }
}

/** What a NAME.json says. Throws Error where it is not that. */
function parseRecord(text: string): { size: number; digest: string } {
  const { size, digest } = JSON.parse(text) as { size: unknown; digest: unknown };
  if (!Number.isSafeInteger(size) || typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest))
    throw new Error('its description has no size or no digest');
  return { size: Number(size), digest };
}

/** Copies an image, leaving out what is zero, and makes the copy durable. */
async function copySparsely(
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<{ size: number; digest: string; zeros: ZeroMap }> {
  const source = await open(from, 'r');
  try {
    const target = await open(to, 'wx', 0o600);
    try {
      const { size } = await source.stat();
      if (size === 0 || size > MAX_DISK_SIZE)
        throw new StoreError(`${from}: ${size} bytes; a base image has 1 to ${MAX_DISK_SIZE}`);
      const zeros = new ZeroMap(size);
      const digest = await copyContent(source, target, size, zeros, signal);
      await target.truncate(size);
      await target.sync();
      return { size, digest, zeros };
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copyContent(
  source: FileHandle,
  target: FileHandle,
  size: number,
  zeros: ZeroMap,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(COPY_LENGTH);
  for (let at = 0; at < size; ) {
    signal.throwIfAborted();
    const { bytesRead } = await source.read(buffer, 0, Math.min(COPY_LENGTH, size - at), at);
    if (bytesRead === 0) throw new StoreError(`the image ended at byte ${at} of ${size} while it was copied`);
    const bytes = buffer.subarray(0, bytesRead);
    hash.update(bytes);
    for (const { length, state, from } of zeros.note(bytes, at))
      if (state === 'data') await target.write(buffer, from, length, at + from);
    at += bytesRead;
  }
  return hash.digest('hex');
}

/** A base image as a disk of its own, for looking into it: any number of clients, no writes. */
export class BaseDisk implements Disk {
  readonly name: string;
  readonly size: number;
  readonly readOnly = true;
  readonly blockSize = BLOCK_SIZE;
  readonly #file: BlockFile;
  readonly #zeros: ZeroMap;

  constructor(name: string, size: number, file: BlockFile, zeros: ZeroMap) {
    this.name = name;
    this.size = size;
    this.#file = file;
    this.#zeros = zeros;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    if (this.#file.prompt(target.length)) this.#file.readNow(target, offset);
    else await this.#file.read(target, offset);
  }

  async write(): Promise<void> {
    throw this.#readOnly();
  }

  async writeZeroes(): Promise<void> {
    throw this.#readOnly();
  }

  async trim(): Promise<void> {
    throw this.#readOnly();
  }

  extents(offset: number, length: number, most: number): Extent[] {
    return this.#zeros.extents(offset, length, most);
  }

  #readOnly(): DiskError {
    return new DiskError('EPERM', `${this.name} is a base image, which nobody writes to`);
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}
