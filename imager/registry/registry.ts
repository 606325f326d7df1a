/**
 * The registry: ordered keys, transactions, watches. One interface for the embedded store (LMDB),
 * for etcd later, and for the in-memory fake of the tests. Reads are synchronous: DHCP answers from them.
 */

/** Path-like key, e.g. ['lease', '10.77.0.11']. Parts are non-empty and ordered as text. */
export type Key = readonly string[];

/** Anything CBOR carries: plain objects, arrays, strings, finite numbers, booleans, null, Uint8Array. */
export type Value = unknown;

export interface Entry<T = Value> {
  key: Key;
  value: T;
  /** Incarnation of the registry at which this value was written. */
  revision: number;
}

export type Change =
  | { type: 'put'; key: Key; value: Value; revision: number }
  | { type: 'delete'; key: Key; revision: number };

export interface Transaction {
  get<T>(key: Key): T | undefined;
  range<T>(prefix: Key): Entry<T>[];
  put(key: Key, value: Value): void;
  delete(key: Key): void;
}

export interface Registry {
  get<T>(key: Key): T | undefined;
  /** Entries whose key starts with `prefix`, in key order. */
  range<T>(prefix: Key): Entry<T>[];
  /**
   * Runs `work` against a consistent view and commits its writes all at once, or none where it throws.
   * Resolves once durable (on disk). Transactions run one after another, in the order of the calls.
   */
  transact<T>(work: (tx: Transaction) => T): Promise<T>;
  /** Calls `listener` after each committed change under `prefix`, in order. Returns the unsubscribe function. */
  watch(prefix: Key, listener: (change: Change) => void): () => void;
  /** Incarnation number: grows by one with each committed transaction that wrote something. */
  revision(): number;
  close(): Promise<void>;
}
