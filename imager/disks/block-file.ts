/**
 * A file read and written by position, whole ranges only. Two ways for each call, because they differ by a factor
 * of twenty (4 KiB from the page cache, measured on Node 20: 4 us synchronous, 77 us through the thread pool;
 * 256 KiB: 17 and 38 us): the synchronous one while the page cache answers at once, the thread pool where it does
 * not, since every other server of the process waits for a synchronous call.
 */
import {
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  statSync,
  write,
  writeSync,
} from 'node:fs';
import { DiskError, type FilePart } from './disk.ts';
import { beginCall, lockFile, punchHole, readHere, reserveSpace, slept, writeHere } from './host.ts';

export interface BlockFile {
  /** True where a call of `length` bytes may be made synchronously at present. */
  prompt(length: number): boolean;
  /** Fills `target` from `offset`. Throws DiskError, also where the file is too short. */
  readNow(target: Uint8Array, offset: number): void;
  read(target: Uint8Array, offset: number): Promise<void>;
  /** A range that is to be sent from the file; undefined where that cannot be done here, or not synchronously at present. */
  part(offset: number, length: number): FilePart | undefined;
  /** Writes all of `source`. Throws DiskError; part of it may be written then. */
  writeNow(source: Uint8Array, offset: number): void;
  write(source: Uint8Array, offset: number): Promise<void>;
  /** Resolves once all completed writes are durable (fdatasync). */
  sync(): Promise<void>;
  /** Bytes. */
  size(): number;
  /** Cuts the file off. Throws DiskError. */
  truncate(size: number): void;
  /** Gives the space of a range back, which reads as zeroes then; false where that cannot be done here. */
  punch(offset: number, length: number): boolean;
  /** Whether it is still what is at that path. */
  isAt(path: string): boolean;
  close(): void;
}

/** Longest range moved synchronously. */
const PROMPT_LENGTH = 256 * 1024;
/** A synchronous call that waited longer (cold cache, throttled writer) sends the next ones to the thread pool... */
const SLOW_MS = 2;
/** ...for this long. */
const COOL_DOWN_MS = 50;

/**
 * A file that grows has space allocated ahead: a write to new pages takes 26 instead of 60 us for 256 KiB then. At most
 * an eighth of what it has, within these bounds; given back when it is closed.
 */
const LEAST_AHEAD = 2 ** 20;
const MOST_AHEAD = 16 * 2 ** 20;

/** The DiskError for a failed call of the file system. */
export function asDiskError(error: unknown): DiskError {
  if (error instanceof DiskError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
    return new DiskError('ENOSPC', message, { cause: error });
  if (code === 'ENOMEM') return new DiskError('ENOMEM', message, { cause: error });
  return new DiskError('EIO', message, { cause: error });
}

/** A BlockFile on the file system. */
export class SystemFile implements BlockFile {
  readonly #path: string;
  /** Undefined once it is closed: the system gives the number to the next file. */
  #open: number | undefined;
  readonly #now: () => number;
  #slowUntil = 0;
  /** Up to this byte the file has its space, or was to have it; and whether some of that is of our doing. */
  #reserved: number;
  #ahead = false;

  /** Opens an existing file. `now` in milliseconds, for the choice between the two ways. */
  constructor(path: string, mode: 'r' | 'r+', now: () => number = () => performance.now()) {
    this.#path = path;
    this.#open = openSync(path, mode);
    this.#now = now;
    this.#reserved = this.size();
  }

  get #fd(): number {
    if (this.#open === undefined) throw new DiskError('EIO', `${this.#path} is closed`);
    return this.#open;
  }

  prompt(length: number): boolean {
    return length <= PROMPT_LENGTH && (this.#slowUntil === 0 || this.#recovered());
  }

  #recovered(): boolean {
    if (this.#now() < this.#slowUntil) return false;
    this.#slowUntil = 0;
    return true;
  }

  #judge(start: number): void {
    const end = this.#now();
    if (end - start > SLOW_MS && slept()) this.#slowUntil = end + COOL_DOWN_MS;
  }

  #reserve(end: number): void {
    if (end <= this.#reserved) return;
    const ahead = Math.min(MOST_AHEAD, Math.max(LEAST_AHEAD, end / 8));
    const from = this.#reserved;
    this.#reserved = Math.floor(end + ahead);
    // Where that fails, the write tells whether there is space for it.
    this.#ahead = true;
    reserveSpace(this.#fd, from, this.#reserved - from);
  }

  #tooShort(offset: number): DiskError {
    return new DiskError('EIO', `${this.#path} ends before offset ${offset}`);
  }

  readNow(target: Uint8Array, offset: number): void {
    const start = this.#now();
    try {
      for (let done = 0; done < target.length; ) {
        const count =
          readHere(this.#fd, target, done, offset + done) ??
          readSync(this.#fd, target, done, target.length - done, offset + done);
        if (count === 0) throw this.#tooShort(offset + done);
        done += count;
      }
    } catch (error) {
      throw asDiskError(error);
    }
    this.#judge(start);
  }

  part(offset: number, length: number): FilePart | undefined {
    if (!this.prompt(length)) return undefined;
    return {
      offset,
      length,
      lend: (send) => {
        const start = this.#now();
        beginCall();
        const result = send(this.#fd, offset);
        this.#judge(start);
        return result;
      },
      readNow: (target, from) => this.readNow(target, offset + from),
    };
  }

  writeNow(source: Uint8Array, offset: number): void {
    const start = this.#now();
    this.#reserve(offset + source.length);
    try {
      for (let done = 0; done < source.length; )
        done +=
          writeHere(this.#fd, source, done, offset + done) ??
          writeSync(this.#fd, source, done, source.length - done, offset + done);
    } catch (error) {
      throw asDiskError(error);
    }
    this.#judge(start);
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const count = await inPool((end) =>
        read(this.#fd, target, done, target.length - done, offset + done, end),
      );
      if (count === 0) throw this.#tooShort(offset + done);
      done += count;
    }
  }

  async write(source: Uint8Array, offset: number): Promise<void> {
    this.#reserve(offset + source.length);
    for (let done = 0; done < source.length; )
      done += await inPool((end) => write(this.#fd, source, done, source.length - done, offset + done, end));
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => (error ? reject(asDiskError(error)) : resolve()));
    });
  }

  size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Time of the last change of its content, in nanoseconds. */
  modified(): bigint {
    return fstatSync(this.#fd, { bigint: true }).mtimeNs;
  }

  truncate(size: number): void {
    try {
      ftruncateSync(this.#fd, size);
      this.#reserved = size;
    } catch (error) {
      throw asDiskError(error);
    }
  }

  punch(offset: number, length: number): boolean {
    return punchHole(this.#fd, offset, length);
  }

  isAt(path: string): boolean {
    const [here, there] = [fstatSync(this.#fd), statSync(path, { throwIfNoEntry: false })];
    return here.ino === there?.ino && here.dev === there.dev;
  }

  /** False where another process has the file locked. Throws StoreError; see lockFile. */
  lock(): boolean {
    return lockFile(this.#fd, this.#path);
  }

  close(): void {
    const fd = this.#fd;
    try {
      // Who wrote nothing keeps off: the file may be another one's, who makes it longer now.
      if (this.#ahead) ftruncateSync(fd, this.size());
    } catch {
      // It stays reserved until the next one who writes to it closes it.
    }
    this.#open = undefined;
    closeSync(fd);
  }
}

/** One call through the thread pool; gives the count of bytes moved. */
function inPool(
  call: (end: (error: NodeJS.ErrnoException | null, count: number) => void) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    call((error, count) => (error ? reject(asDiskError(error)) : resolve(count)));
  });
}
