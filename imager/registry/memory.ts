/** The registry in memory alone: for tests, with the same behaviour as the stored ones but for durability. */
import { type Base, runBuffered, type Stored, toEntries } from './buffered.ts';
import { RegistryError, writeEntryKey, writeKey } from './key.ts';
import type { Change, Entry, Key, Registry, Transaction } from './registry.ts';
import { copyValue } from './value.ts';
import { Watchers } from './watchers.ts';

export class MemoryRegistry implements Registry {
  readonly #entries = new Map<string, Stored>();
  readonly #watchers = new Watchers();
  #revision = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #closed = false;

  readonly #base: Base = {
    get: (written) => this.#entries.get(written),
    range: (prefix) => [...this.#entries].filter(([written]) => written.startsWith(prefix)),
  };

  get<T>(key: Key): T | undefined {
    this.#open();
    const stored = this.#entries.get(writeEntryKey(key));
    return stored === undefined ? undefined : (copyValue(stored.value) as T);
  }

  range<T>(prefix: Key): Entry<T>[] {
    this.#open();
    return toEntries<T>(this.#base.range(writeKey(prefix)));
  }

  async transact<T>(work: (tx: Transaction) => T): Promise<T> {
    this.#open();
    const done = this.#tail.then(() => this.#commit(work));
    this.#tail = done.catch(() => {});
    return done;
  }

  watch(prefix: Key, listener: (change: Change) => void): () => void {
    this.#open();
    return this.#watchers.add(prefix, listener);
  }

  revision(): number {
    this.#open();
    return this.#revision;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#tail;
    this.#watchers.clear();
  }

  #commit<T>(work: (tx: Transaction) => T): T {
    const revision = this.#revision + 1;
    const { result, writes } = runBuffered(this.#base, revision, work);
    if (writes.length === 0) return result;
    this.#revision = revision;
    for (const { written, stored } of writes) {
      if (stored === undefined) this.#entries.delete(written);
      else this.#entries.set(written, stored);
    }
    this.#watchers.tell(writes, revision);
    return result;
  }

  #open(): void {
    if (this.#closed) throw new RegistryError('registry is closed');
  }
}
