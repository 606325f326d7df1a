/**
 * The embedded registry: LMDB, a memory-mapped tree with copy-on-write pages. Readers never wait, and a commit
 * that was cut off leaves the one before it.
 */
import { mkdir, open as openFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { type Base, runBuffered, type Stored, toChanges, toEntries, type Write } from './buffered.ts';
import { RegistryError, writeEntryKey, writeKey } from './key.ts';
import { HEAD_BYTES, lmdbFault } from './lmdb-file.ts';
import type { Change, Entry, Key, Registry, Transaction } from './registry.ts';
import { copyValue } from './value.ts';
import { Watchers } from './watchers.ts';

const FILE = 'registry.mdb';

/** Typed loosely because lmdb's declarations leave 'cbor' out. Records would be a private extension of CBOR. */
const CBOR: object = { encoding: 'cbor', encoder: { useRecords: false, mapsAsObjects: true } };

/** On disk: the revision, then the value. */
type Record = [revision: number, value: unknown];

type Outcome<T> = { ok: true; result: T; writes: Write[]; revision: number } | { ok: false; error: unknown };

export class LmdbRegistry implements Registry {
  readonly #root: RootDatabase;
  readonly #entries: Database<Record, Buffer>;
  readonly #meta: Database<number, string>;
  readonly #watchers = new Watchers();
  #tail: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(path: string) {
    // With overlappingSync readers would see a commit that a power cut can still take back.
    this.#root = open({ path, noSubdir: true, overlappingSync: false, maxDbs: 2 });
    this.#entries = this.#root.openDB<Record, Buffer>('entries', { keyEncoding: 'binary', ...CBOR });
    this.#meta = this.#root.openDB<number, string>('meta', { ...CBOR });
  }

  /**
   * Opens the registry kept in directory `dir`, which is made where it is missing. Rejects with RegistryError where the
   * file there is none, or was cut short.
   */
  static async open(dir: string): Promise<LmdbRegistry> {
    await mkdir(dir, { recursive: true });
    const path = join(dir, FILE);
    await checkFile(path);
    const registry = new LmdbRegistry(path);
    // A new file's name is durable only with its directory, and that one's with its parent.
    await syncDirectory(dir);
    await syncDirectory(dirname(resolve(dir)));
    return registry;
  }

  readonly #base: Base = {
    get: (written) => fromRecord(this.#entries.get(Buffer.from(written, 'latin1'))),
    range: (prefix) => this.#range(prefix),
  };

  get<T>(key: Key): T | undefined {
    this.#open();
    const stored = this.#base.get(writeEntryKey(key));
    return stored === undefined ? undefined : (copyValue(stored.value) as T);
  }

  range<T>(prefix: Key): Entry<T>[] {
    this.#open();
    return toEntries<T>(this.#range(writeKey(prefix)));
  }

  async transact<T>(work: (tx: Transaction) => T): Promise<T> {
    this.#open();
    // Transactions waiting at the same time share one LMDB commit, and so one fsync.
    const commit = this.#root.transaction(() => this.#apply(work));
    const done = Promise.all([commit, this.#tail]).then(([outcome]) => {
      if (!outcome.ok) throw outcome.error;
      this.#watchers.tell(toChanges(outcome.writes, outcome.revision));
      return outcome.result;
    });
    this.#tail = done.catch(() => {});
    return done;
  }

  watch(prefix: Key, listener: (change: Change) => void): () => void {
    this.#open();
    return this.#watchers.add(prefix, listener);
  }

  revision(): number {
    this.#open();
    return this.#meta.get('revision') ?? 0;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#tail;
    this.#watchers.clear();
    await this.#root.close();
  }

  /**
   * Runs in LMDB's write transaction, which other calls share: it must not throw, and must write nothing before all
   * of `work` is known to succeed.
   */
  #apply<T>(work: (tx: Transaction) => T): Outcome<T> {
    try {
      const revision = (this.#meta.get('revision') ?? 0) + 1;
      const { result, writes } = runBuffered(this.#base, revision, work);
      for (const { written, stored } of writes) {
        const key = Buffer.from(written, 'latin1');
        if (stored === undefined) this.#entries.removeSync(key);
        else this.#entries.putSync(key, [stored.revision, stored.value]);
      }
      if (writes.length > 0) this.#meta.putSync('revision', revision);
      return { ok: true, result, writes, revision };
    } catch (error) {
      return { ok: false, error };
    }
  }

  *#range(prefix: string): Generator<[string, Stored]> {
    // No byte of UTF-8 is 0xff: this is past every key with the prefix.
    const start = Buffer.from(prefix === '' ? '\0' : prefix, 'latin1');
    const end = Buffer.from(`${prefix}\xff`, 'latin1');
    for (const { key, value } of this.#entries.getRange({ start, end }))
      yield [Buffer.from(key).toString('latin1'), fromRecord(value)!];
  }

  #open(): void {
    if (this.#closed) throw new RegistryError('registry is closed');
  }
}

function fromRecord(record: Record | undefined): Stored | undefined {
  return record === undefined ? undefined : { revision: record[0], value: record[1] };
}

async function checkFile(path: string): Promise<void> {
  const handle = await openFile(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return;
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const fault = lmdbFault(buffer.subarray(0, bytesRead), size);
    if (typeof fault !== 'string') {
      if (size < fault.length) await handle.truncate(fault.length);
      return;
    }
    throw new RegistryError(
      `${path} is no registry: ${fault}. Put a copy in its place; or move it away, and leases, boot pointers and ` +
        'owners of disks are learnt anew',
    );
  } finally {
    await handle.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await openFile(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
