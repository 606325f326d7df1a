/** Who is told of changes. */
import type { Write } from './buffered.ts';
import { readKey, writeKey } from './key.ts';
import type { Change, Key } from './registry.ts';
import { copyValue } from './value.ts';

type Listener = (change: Change) => void;

export class Watchers {
  readonly #watches = new Set<{ prefix: string; listener: Listener }>();

  /** Adds a watch on everything under `prefix`; gives the function that ends it. */
  add(prefix: Key, listener: Listener): () => void {
    const watch = { prefix: writeKey(prefix), listener };
    this.#watches.add(watch);
    return () => {
      this.#watches.delete(watch);
    };
  }

  /**
   * Tells every watch of the writes of one committed transaction, in order. What a listener throws becomes an uncaught
   * exception of its own: the commit stands, and the other listeners hear of it.
   */
  tell(writes: readonly Write[], revision: number): void {
    if (this.#watches.size === 0) return;
    const watches = [...this.#watches];
    for (const write of writes) {
      let change: Change | undefined;
      for (const watch of watches) {
        if (!write.written.startsWith(watch.prefix) || !this.#watches.has(watch)) continue;
        change ??= toChange(write, revision);
        try {
          watch.listener(change);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }

  clear(): void {
    this.#watches.clear();
  }
}

/** A change for listeners. The value is the store's own: it is copied where somebody asks for it, and not before. */
function toChange({ written, stored }: Write, revision: number): Change {
  const key = readKey(written);
  if (stored === undefined) return { type: 'delete', key, revision };
  return {
    type: 'put',
    key,
    get value() {
      return copyValue(stored.value);
    },
    revision,
  };
}
