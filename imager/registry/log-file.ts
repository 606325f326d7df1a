/** The registry's log as a file: records put behind each other, each durable when `append` resolves. */
import { constants, type PathLike, write as writeFd } from 'node:fs';
import { type FileHandle, open as openFile, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RegistryError } from './key.ts';
import { decodeLog, type Group, LOG_MAGIC, LogError } from './log-record.ts';

const FILE = 'registry.log';
/** The next log, before it takes the place of the last. */
const NEXT = 'registry.log.new';

/** O_DSYNC: a write returns when its bytes are on the disk, as with an fdatasync behind it, in one call. */
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC;

/** Files have room in blocks of so many bytes, and a short write costs as much as one of a whole block. */
const BLOCK = 4096;
/** Most zeroes that are written behind a record. */
const MOST_ROOM = 256 * 1024;

/** Writes bytes at a place of a file and calls back with how many there were. */
export type WriteBytes = (
  fd: number,
  bytes: Uint8Array,
  at: number,
  done: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void;

const writeBytes: WriteBytes = (fd, bytes, at, done) => writeFd(fd, bytes, 0, bytes.length, at, done);

/** What the file holds is not known any more: no later write may count on it. */
export class LogLost extends Error {}

export class LogFile {
  readonly #dir: string;
  readonly #write: WriteBytes;
  #handle: FileHandle;
  #end: number;
  /** How long the file is: zeroes from the end of the last record on. */
  #size: number;

  private constructor(dir: string, write: WriteBytes, handle: FileHandle, end: number) {
    this.#dir = dir;
    this.#write = write;
    this.#handle = handle;
    this.#end = end;
    this.#size = end;
  }

  /**
   * Opens the log in directory `dir`, or begins one; gives its groups as well. A record that was being written when the
   * last process ended is cut off. Rejects with RegistryError where a record before it is damaged. `write`: how bytes get to the
   * disk, for tests of bad ones.
   */
  static async open(dir: string, write = writeBytes): Promise<{ log: LogFile; groups: Group[] }> {
    const path = join(dir, FILE);
    await rm(join(dir, NEXT), { force: true });
    const bytes = await readIfThere(path);
    const { groups, end } = decoded(bytes, path);
    if (end < LOG_MAGIC.length) {
      const handle = await begin(dir, write, Buffer.alloc(0));
      await rename(join(dir, NEXT), path);
      return { log: new LogFile(dir, write, handle, LOG_MAGIC.length), groups };
    }
    const handle = await openFile(path, FLAGS);
    const log = new LogFile(dir, write, handle, end);
    if (end < bytes.length) await log.#cut();
    return { log, groups };
  }

  /** Where the next record begins. */
  get end(): number {
    return this.#end;
  }

  /**
   * Puts `record` behind the others. Rejects with the error where the disk is full: the log is as before. Rejects with
   * LogLost where the disk fails.
   */
  async append(record: Uint8Array): Promise<void> {
    const end = this.#end + record.length;
    if (end <= this.#size) await this.#put(record);
    else {
      const size = sizeWithRoom(end);
      try {
        await this.#put(Buffer.concat([record], size - this.#end));
        this.#size = size;
      } catch (error) {
        // Where there is no room for the zeroes there may be for the record.
        if (!isFull(error)) throw error;
        await this.#put(record);
        this.#size = end;
      }
    }
    this.#end = end;
  }

  /**
   * Begins the log anew with the records from byte `from` on; those before it are in LMDB. Rejects where that cannot be, for
   * want of room or of descriptors: the log is as before. Rejects with LogLost where it is not known which log is in place.
   */
  async restart(from: number): Promise<void> {
    const tail = Buffer.alloc(this.#end - from);
    const { bytesRead } = await this.#handle.read(tail, 0, tail.length, from);
    if (bytesRead < tail.length) throw new LogLost(`the registry's log ends before byte ${this.#end}`);
    // Opened first: there may be no descriptor left when the new log has its name.
    const directory = await openFile(this.#dir, 'r');
    try {
      await this.#replace(await begin(this.#dir, this.#write, tail), directory);
    } finally {
      await directory.close();
    }
    this.#end = LOG_MAGIC.length + tail.length;
    this.#size = this.#end;
  }

  /** Puts the next log, open as `handle`, in the place of this one. */
  async #replace(handle: FileHandle, directory: FileHandle): Promise<void> {
    try {
      await rename(join(this.#dir, NEXT), join(this.#dir, FILE));
      await directory.sync();
    } catch (error) {
      await handle.close();
      throw new LogLost(`the registry's log cannot be begun anew: ${(error as Error).message}`);
    }
    await this.#handle.close();
    this.#handle = handle;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Writes `bytes` behind the last record. Where there is no room for them the log is as before. */
  async #put(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(this.#write, this.#handle.fd, bytes, this.#end);
    } catch (error) {
      if (!isFull(error))
        throw new LogLost(`the registry's log cannot be written: ${(error as Error).message}`);
      await this.#cut();
      throw error;
    }
  }

  async #cut(): Promise<void> {
    try {
      await this.#handle.truncate(this.#end);
      await this.#handle.datasync();
      this.#size = this.#end;
    } catch (error) {
      throw new LogLost(`the registry's log cannot be cut: ${(error as Error).message}`);
    }
  }
}

/** Whether `error` says that there is no room, of which there may be some later. */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/**
 * How long the file is made for records up to byte `end`. A write that makes a file longer has to be followed by one of the
 * file system's journal; one over zeroes that are on the disk has not. As much room as there are records, so that what is
 * written in vain is never more than they.
 */
function sizeWithRoom(end: number): number {
  return Math.ceil((end + Math.min(end, MOST_ROOM)) / BLOCK) * BLOCK;
}

/** The next log beside the one in use, on the disk. Rejects, and leaves nothing, where it cannot be written. */
async function begin(dir: string, write: WriteBytes, records: Uint8Array): Promise<FileHandle> {
  const path = join(dir, NEXT);
  const handle = await openFile(path, FLAGS | constants.O_TRUNC, 0o644);
  try {
    await writeAll(write, handle.fd, Buffer.concat([LOG_MAGIC, records]), 0);
    await handle.sync();
    return handle;
  } catch (error) {
    await handle.close();
    await rm(path, { force: true });
    throw error;
  }
}

async function writeAll(write: WriteBytes, fd: number, bytes: Uint8Array, at: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const written = await new Promise<number>((resolve, reject) =>
      write(fd, bytes.subarray(done), at + done, (error, count) => (error ? reject(error) : resolve(count))),
    );
    if (written === 0) throw new Error('nothing was written');
    done += written;
  }
}

function decoded(bytes: Uint8Array, path: string): { groups: Group[]; end: number } {
  try {
    return decodeLog(bytes);
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    throw new RegistryError(
      `${path} is no log of a registry, ${error.message}. Put a copy of the whole folder in its place; or move this file ` +
        'away, and what was last written is lost',
    );
  }
}

async function readIfThere(path: PathLike): Promise<Uint8Array> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  });
}
