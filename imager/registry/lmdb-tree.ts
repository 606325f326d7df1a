/**
 * The registry's tree: LMDB, memory-mapped, with copy-on-write pages. Readers never wait, and a commit that was cut off
 * leaves the one before it.
 */
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { Base, Stored } from './buffered.ts';
import { RegistryError } from './key.ts';
import { HEAD_BYTES, lmdbFault } from './lmdb-file.ts';

const FILE = 'registry.mdb';

/** Typed loosely because lmdb's declarations leave 'cbor' out. Records would be a private extension of CBOR. */
const CBOR: object = { encoding: 'cbor', encoder: { useRecords: false, mapsAsObjects: true } };

/** Entries written at a time: the packets of a few milliseconds wait for that. */
const SLICE = 1000;

/** On disk: the revision, then the value. */
type Record = [revision: number, value: unknown];

export class LmdbTree implements Base {
  readonly #root: RootDatabase;
  readonly #entries: Database<Record, Buffer>;
  readonly #meta: Database<number, string>;

  private constructor(path: string) {
    // With overlappingSync a commit that a power cut can still take back would count as done. With batching of what one
    // turn writes there is a promise more, which nobody sees: where it rejects the process ends.
    const options = { overlappingSync: false, eventTurnBatching: false };
    this.#root = open({ path, noSubdir: true, maxDbs: 2, ...options });
    this.#entries = this.#root.openDB<Record, Buffer>('entries', { keyEncoding: 'binary', ...CBOR });
    this.#meta = this.#root.openDB<number, string>('meta', { ...CBOR });
  }

  /** Opens the tree in directory `dir`. Rejects with RegistryError where the file there is none, or was cut short. */
  static async open(dir: string): Promise<LmdbTree> {
    const path = join(dir, FILE);
    await checkFile(path);
    return new LmdbTree(path);
  }

  get(written: string): Stored | undefined {
    return fromRecord(this.#entries.get(Buffer.from(written, 'latin1')));
  }

  *range(prefix: string): Generator<[string, Stored]> {
    // No byte of UTF-8 is 0xff: this is past every key with the prefix.
    const start = Buffer.from(prefix === '' ? '\0' : prefix, 'latin1');
    const end = Buffer.from(`${prefix}\xff`, 'latin1');
    for (const { key, value } of this.#entries.getRange({ start, end }))
      yield [Buffer.from(key).toString('latin1'), fromRecord(value)!];
  }

  /** The revision up to which everything is in. */
  revision(): number {
    return this.#meta.get('revision') ?? 0;
  }

  /**
   * Puts `writes` in, with which the tree is at `revision`; an entry without anything stored goes away. Resolves once
   * durable. Where it fails or is killed part of them may be in: the revision is the old one, and the same writes again
   * make it right. Until then they have to be read before the tree.
   */
  async apply(writes: ReadonlyMap<string, Stored | undefined>, revision: number): Promise<void> {
    const all = [...writes];
    for (let at = 0; at < all.length; at += SLICE)
      await this.#batch(() => {
        for (const [written, stored] of all.slice(at, at + SLICE)) {
          const key = Buffer.from(written, 'latin1');
          if (stored === undefined) void this.#entries.remove(key);
          else void this.#entries.put(key, [stored.revision, stored.value]);
        }
        if (at + SLICE >= all.length) void this.#meta.put('revision', revision);
      });
  }

  /**
   * One transaction of what `work` puts and removes. LMDB's thread is handed all of it: it would wait for a callback, and a
   * process that ends meanwhile for it.
   */
  async #batch(work: () => void): Promise<void> {
    try {
      await this.#root.batch(work);
    } catch (error) {
      // A second promise that says why; it may be settled later.
      (error as { commitError?: Promise<never> }).commitError?.catch(() => {});
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#root.close();
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
      `${path} is no registry: ${fault}. Put a copy in its place; or move it and registry.log away, and leases, boot ` +
        'pointers and owners of disks are learnt anew',
    );
  } finally {
    await handle.close();
  }
}
