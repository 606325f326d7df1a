/** Who is told of changes. */
import { writeKey } from './key.ts';
import type { Change, Key } from './registry.ts';

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
   * Tells every watch of `changes`, in order. What a listener throws becomes an uncaught exception of its own: the
   * commit stands, and the other listeners hear of it.
   */
  tell(changes: readonly Change[]): void {
    for (const change of changes) {
      const written = writeKey(change.key);
      for (const { prefix, listener } of [...this.#watches]) {
        if (!written.startsWith(prefix)) continue;
        try {
          listener(change);
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
