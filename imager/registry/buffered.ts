/** One transaction's writes, held back until it is known to succeed: how both embedded registries make it all or nothing. */
import { RegistryError, readKey, writeEntryKey, writeKey } from './key.ts';
import type { Entry, Key, Transaction, Value } from './registry.ts';
import { copyValue } from './value.ts';

/** What is stored under a written key. */
export interface Stored {
  value: Value;
  revision: number;
}

/** The store under a transaction, by written key. */
export interface Base {
  get(written: string): Stored | undefined;
  /** Entries whose written key starts with `prefix`, in any order. */
  range(prefix: string): Iterable<[written: string, stored: Stored]>;
}

export interface Write {
  written: string;
  /** Absent: the entry goes away. */
  stored: Stored | undefined;
}

/** Writes in front of a store: undefined where an entry has gone away. */
export type Layer = Map<string, Stored | undefined>;

/**
 * Runs `work` over `base`. Gives its result and the writes that change something, in the order they were last made,
 * stamped with `revision`. Throws what `work` throws, and RegistryError where `work` is asynchronous: it would go on
 * after its transaction.
 */
export function runBuffered<T>(
  base: Base,
  revision: number,
  work: (tx: Transaction) => T,
): { result: T; writes: Write[] } {
  const buffered: Layer = new Map();
  let over = false;
  const live = () => {
    if (over) throw new RegistryError('registry transaction used after its end');
  };
  const replace = (written: string, stored: Stored | undefined) => {
    buffered.delete(written);
    buffered.set(written, stored);
  };
  const tx: Transaction = {
    get<V>(key: Key) {
      live();
      const written = writeEntryKey(key);
      const stored = buffered.has(written) ? buffered.get(written) : base.get(written);
      return stored === undefined ? undefined : (copyValue(stored.value) as V);
    },
    range<V>(prefix: Key) {
      live();
      const start = writeKey(prefix);
      const seen = new Map(base.range(start));
      overlay(seen, buffered, start);
      return toEntries<V>(seen);
    },
    put(key, value) {
      live();
      replace(writeEntryKey(key), { value: copyValue(value), revision });
    },
    delete(key) {
      live();
      replace(writeEntryKey(key), undefined);
    },
  };
  try {
    const result = work(tx);
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new RegistryError(
        'registry transaction with asynchronous work: do the waiting before or after it',
      );
    }
    const writes: Write[] = [];
    for (const [written, stored] of buffered)
      if (stored !== undefined || base.get(written) !== undefined) writes.push({ written, stored });
    return { result, writes };
  } finally {
    over = true;
  }
}

/** Makes `seen` what it is with the entries of `layer` under `prefix` in front. */
export function overlay(seen: Map<string, Stored>, layer: Layer, prefix: string): void {
  for (const [written, stored] of layer) {
    if (!written.startsWith(prefix)) continue;
    if (stored === undefined) seen.delete(written);
    else seen.set(written, stored);
  }
}

/** Entries for callers, in key order, each with a copy of its value. */
export function toEntries<T>(found: Iterable<[written: string, stored: Stored]>): Entry<T>[] {
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([written, stored]) => ({
      key: readKey(written),
      value: copyValue(stored.value) as T,
      revision: stored.revision,
    }));
}
