/**
 * Events in append-only files, one JSON object a line, each line beginning with whom it is about. The oldest file goes
 * when there are too many, so that the disk taken is bounded.
 *
 * What is appended is in the kernel's page cache by the end of the turn of the event loop it was appended in: it
 * outlives this process, SIGKILL included, and a storm of nodes costs one write a turn. It is flushed to the disk when a file
 * is full and at the end, not for each event: a crash of the machine may cost the last half minute, which explains
 * boots but decides nothing, and the leases' own flushes do not wait behind it. A torn last line is left out.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordedEvent } from './event.ts';

export interface EventFilesOptions {
  /** Made where it does not exist. */
  dir: string;
  /** Files are NAME.000001.jsonl and so on. */
  name: string;
  /** A file is full at this size. */
  fileBytes: number;
  /** Files kept, the one being written included. */
  files: number;
  /** Told of each failed write; the events of that write are lost. */
  failed(error: Error): void;
}

/** Reads under way and waiting, at most: each reads all files. */
const MAX_READS = 16;
const NEWLINE = 0x0a;

/** Too many read at once. */
export class BusyError extends Error {}

export class EventFiles {
  readonly #options: EventFilesOptions;
  #fd: number;
  #number: number;
  /** Bytes of the file being written. */
  #size: number;
  #pending: string[] = [];
  #flush: NodeJS.Immediate | undefined;
  #failure: Error | undefined;
  #reads = 0;
  #reading: Promise<unknown> = Promise.resolve();

  /** Opens the files of `name` in `dir` and goes on with the newest. Throws the system's error where it cannot. */
  constructor(options: EventFilesOptions) {
    this.#options = options;
    mkdirSync(options.dir, { recursive: true });
    this.#number = this.#numbers().at(-1) ?? 1;
    this.#fd = openSync(this.#path(this.#number), 'a+');
    this.#size = this.#endLine();
  }

  append(who: string, event: RecordedEvent): void {
    this.#pending.push(`{"who":${JSON.stringify(who)},${JSON.stringify(event).slice(1)}\n`);
    this.#flush ??= setImmediate(() => this.flush());
  }

  /** Why the last write failed; undefined where it did not. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Writes what was appended. */
  flush(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    if (this.#pending.length === 0) return;
    const bytes = Buffer.from(this.#pending.join(''));
    this.#pending = [];
    try {
      // A disk that fills up takes a part without an error: the next write says what is wrong.
      for (let at = 0; at < bytes.length; ) {
        const count = writeSync(this.#fd, bytes, at);
        at += count;
        this.#size += count;
      }
      if (this.#size >= this.#options.fileBytes) this.#next();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error as Error;
      this.#options.failed(error as Error);
      // What was written in part must not swallow the line that comes next.
      this.#pending.push('\n');
    }
  }

  /**
   * What was appended about `who` up to this call, oldest first. Rejects with BusyError where too many wait already.
   * The files are read one call after the other: memory stays bounded, however many ask.
   */
  read(who: string): Promise<RecordedEvent[]> {
    this.flush();
    if (this.#reads >= MAX_READS)
      return Promise.reject(new BusyError('too many read the journal: ask again'));
    const [last, size] = [this.#number, this.#size];
    this.#reads++;
    const result = this.#reading.then(async () => {
      const found: RecordedEvent[] = [];
      for (const number of this.#numbers().filter((each) => each <= last))
        for (const event of linesAbout(
          who,
          await readUpTo(this.#path(number), number === last ? size : undefined),
        ))
          found.push(event);
      return found;
    });
    this.#reading = result
      .catch(() => undefined)
      .finally(() => {
        this.#reads--;
      });
    return result;
  }

  /** Writes and flushes to the disk. */
  async close(): Promise<void> {
    this.flush();
    await this.#reading;
    fsyncSync(this.#fd);
    closeSync(this.#fd);
  }

  #next(): void {
    fsyncSync(this.#fd);
    const next = openSync(this.#path(this.#number + 1), 'a+');
    closeSync(this.#fd);
    this.#fd = next;
    this.#number++;
    this.#size = 0;
    for (const old of this.#numbers().slice(0, -this.#options.files))
      rmSync(this.#path(old), { force: true });
  }

  /** Ends a torn last line; gives the file's size. */
  #endLine(): number {
    const { size } = fstatSync(this.#fd);
    if (size === 0) return 0;
    const last = Buffer.alloc(1);
    readSync(this.#fd, last, 0, 1, size - 1);
    return last[0] === NEWLINE ? size : size + writeSync(this.#fd, '\n');
  }

  /** Numbers of the files there are, ascending. */
  #numbers(): number[] {
    const { dir, name } = this.#options;
    return readdirSync(dir)
      .filter((file) => file.startsWith(`${name}.`) && /^\.\d{6,12}\.jsonl$/.test(file.slice(name.length)))
      .map((file) => Number(file.slice(name.length + 1, -'.jsonl'.length)))
      .sort((a, b) => a - b);
  }

  #path(number: number): string {
    return join(this.#options.dir, `${this.#options.name}.${String(number).padStart(6, '0')}.jsonl`);
  }
}

/** A file's bytes, the first `size` of them where given; none where it has gone meanwhile. */
async function readUpTo(path: string, size: number | undefined): Promise<Buffer> {
  try {
    const bytes = Buffer.alloc(size ?? (await stat(path)).size);
    const file = await open(path, 'r');
    try {
      let at = 0;
      for (let count = 1; count > 0 && at < bytes.length; at += count)
        count = (await file.read(bytes, at, bytes.length - at, at)).bytesRead;
      return bytes.subarray(0, at);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** The whole lines of `bytes` that begin with `who`. Most lines are about others: only these are parsed. */
function* linesAbout(who: string, bytes: Buffer): Generator<RecordedEvent> {
  const beginning = Buffer.from(`{"who":${JSON.stringify(who)},`);
  for (let at = bytes.indexOf(beginning); at >= 0; at = bytes.indexOf(beginning, at + 1)) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) return;
    if (at > 0 && bytes[at - 1] !== NEWLINE) continue;
    const event = eventOf(bytes.toString('utf8', at, end));
    if (event !== undefined) yield event;
  }
}

function eventOf(line: string): RecordedEvent | undefined {
  try {
    const { who: _who, ...event } = JSON.parse(line) as RecordedEvent & { who: string };
    const whole = typeof event.at === 'number' && typeof event.step === 'string';
    return whole && typeof event.component === 'string' ? event : undefined;
  } catch {
    return undefined; // Torn by a crash, or damaged: the others are still good.
  }
}
