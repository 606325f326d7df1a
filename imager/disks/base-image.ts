/** The file of a base image: copied sparsely, told apart, and watched for changes while it is in use. */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { NotPlainError, openPlain } from '../storage/regular.ts';
import { writeAll } from '../storage/write-all.ts';
import { type BlockFile, SystemFile } from './block-file.ts';
import type { BaseContent } from './block-reader.ts';
import { DiskError } from './disk.ts';
import { HEAD_LENGTH, sectorSizeOf } from './file-system.ts';
import { BLOCK_SIZE, MAX_DISK_SIZE } from './format.ts';
import { SourceError, StoreError } from './store-error.ts';
import { inWords } from './system-error.ts';
import { ZeroMap } from './zero-map.ts';

const COPY_LENGTH = 1024 * 1024;

/** What a base image is made of. */
export interface ImageSource {
  /** For messages. */
  name: string;
  /** Bytes. */
  size: number;
  /** Fills `target` from `offset`. */
  read(target: Uint8Array, offset: number): Promise<void>;
  /** Rejects where what was read until now may be of several moments. Absent: it never changes. */
  unchanged?(): Promise<void>;
}

/**
 * Runs `work` on a plain file. Rejects with SourceError where `file` is something else, or cannot be read; `read` and
 * `unchanged` do with StoreError where the file was written to since.
 */
export async function withImageFile<T>(file: string, work: (source: ImageSource) => Promise<T>): Promise<T> {
  const unreadable = (error: unknown): never => {
    throw error instanceof NotPlainError
      ? new SourceError(error.message, { cause: error })
      : inWords(error, `${file} cannot be read`, SourceError);
  };
  const handle = await openPlain(file).catch(unreadable);
  try {
    const moment = async (): Promise<{ size: number; changed: bigint }> => {
      const { size, mtimeNs } = await handle.stat({ bigint: true });
      return { size: Number(size), changed: mtimeNs };
    };
    const before = await moment();
    return await work({
      name: file,
      size: before.size,
      read: async (target, offset) => {
        for (let done = 0; done < target.length; ) {
          const part = handle.read(target, done, target.length - done, offset + done);
          const { bytesRead } = await part.catch(unreadable);
          if (bytesRead === 0)
            throw new StoreError(
              `${file} ended at byte ${offset + done} of ${before.size} while it was copied`,
            );
          done += bytesRead;
        }
      },
      unchanged: async () => {
        const { size, changed } = await moment();
        if (size !== before.size || changed !== before.changed)
          throw new StoreError(`${file} was written to while it was copied: nothing was added`);
      },
    });
  } finally {
    await handle.close();
  }
}

/**
 * Copies an image to a new file, leaving out what is zero, and makes the copy durable. Gives its SHA-256, and its zeroes.
 * Rejects with what the source does, and with the system's errors of the copy.
 */
export async function copySparsely(
  source: ImageSource,
  to: string,
  signal: AbortSignal,
): Promise<{ digest: string; zeros: ZeroMap }> {
  const { name, size } = source;
  if (size === 0 || size > MAX_DISK_SIZE)
    throw new StoreError(`${name}: ${size} bytes; a base image has 1 to ${MAX_DISK_SIZE}`);
  const target = await open(to, 'wx', 0o600);
  try {
    const zeros = new ZeroMap(size);
    const digest = await copyContent(source, target, zeros, signal);
    await source.unchanged?.();
    await target.truncate(size);
    await target.sync();
    return { digest, zeros };
  } finally {
    await target.close();
  }
}

async function copyContent(
  source: ImageSource,
  target: FileHandle,
  zeros: ZeroMap,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(COPY_LENGTH);
  for (let at = 0; at < source.size; at += COPY_LENGTH) {
    signal.throwIfAborted();
    const bytes = buffer.subarray(0, Math.min(COPY_LENGTH, source.size - at));
    await source.read(bytes, at);
    hash.update(bytes);
    for (const { length, state, from } of zeros.note(bytes, at))
      if (state === 'data') await writeAll(target, bytes.subarray(from, from + length), at + from);
  }
  return hash.digest('hex');
}

/**
 * Bytes of the sectors that a device has to have for what is on an image (file-system.ts); 4096 where it cannot be read,
 * which whoever opens it will hear of.
 */
export function sectorSizeIn(path: string): number {
  const head = Buffer.alloc(HEAD_LENGTH);
  try {
    const fd = openSync(path, 'r');
    try {
      return sectorSizeOf(head.subarray(0, readSync(fd, head, 0, head.length, 0)));
    } finally {
      closeSync(fd);
    }
  } catch {
    return BLOCK_SIZE;
  }
}

/**
 * SHA-256 of a file; `took` is told how many bytes of it were read. Rejects with StoreError where it cannot be read, and
 * with the signal's reason soon after it.
 */
export async function digestOf(
  path: string,
  signal: AbortSignal,
  took: (bytes: number) => void = () => {},
): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: COPY_LENGTH })) {
      signal.throwIfAborted();
      hash.update(chunk);
      took((chunk as Buffer).length);
    }
  } catch (error) {
    throw inWords(error, `${path} cannot be read`);
  }
  return hash.digest('hex');
}

/** What tells a file that was replaced or changed: inode number and time of the last change of its content. */
export function identityOf(path: string): string {
  const { ino, mtimeNs } = statSync(path, { bigint: true });
  return `${ino} ${mtimeNs}`;
}

/** An image in use. */
export class BaseImage implements BaseContent {
  readonly name: string;
  readonly file: BlockFile;
  readonly size: number;
  readonly zeros: ZeroMap;
  readonly #modified: () => string;
  readonly #before: string;
  #fault: string | undefined;

  constructor(name: string, path: string, size: number, zeros: ZeroMap) {
    const file = new SystemFile(path, 'r');
    this.name = name;
    this.file = file;
    this.size = size;
    this.zeros = zeros;
    this.#modified = () => `${file.size()} ${file.modified()}`;
    this.#before = this.#modified();
  }

  /** Finds out whether it was changed. What cannot be found out (a stale file of a file server) may be so. */
  look(): void {
    try {
      if (this.#modified() !== this.#before) this.#fault ??= 'was changed while it is in use';
    } catch (error) {
      this.#fault ??= `cannot be looked at any more: ${(error as Error).message}`;
    }
  }

  /** Why it is not read any more, in words. */
  get fault(): string | undefined {
    return this.#fault && `base image "${this.name}" ${this.#fault}`;
  }

  intact(): void {
    if (this.#fault !== undefined) throw new DiskError('EIO', this.fault!);
  }
}
