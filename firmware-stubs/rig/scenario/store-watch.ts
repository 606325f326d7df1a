/** Tells when a node writes a slot of its pointer store, which is a file of the host (inotify). */
import { type FSWatcher, watch } from 'node:fs';
import type { PointerLayout } from '../../../agent/protocol/pointer/layout.ts';

export interface StoreWrite {
  slot: 0 | 1;
  /** From the first to the last byte that changed. */
  length: number;
}

export class StoreWatch {
  readonly #read: () => Uint8Array;
  readonly #layout: PointerLayout;
  readonly #watcher: FSWatcher;
  #known: Uint8Array;

  /** Calls `told` once a write is in the file at `path`, where `read` finds the store. A write of what is there already is none. */
  constructor(
    path: string,
    read: () => Uint8Array,
    layout: PointerLayout,
    told: (write: StoreWrite) => void,
  ) {
    this.#read = read;
    this.#layout = layout;
    this.#known = read();
    this.#watcher = watch(path, () => {
      for (const write of this.#changes()) told(write);
    });
  }

  /** What is in the file now is no write of the node's. */
  forget(): void {
    this.#known = this.#read();
  }

  close(): void {
    this.#watcher.close();
  }

  #changes(): StoreWrite[] {
    const before = this.#known;
    const now = this.#read();
    this.#known = now;
    const changed = [...now.keys()].filter((i) => now[i] !== before[i]);
    const length = changed.length === 0 ? 0 : changed.at(-1)! - changed[0]! + 1;
    const [old, found] = [this.#layout.read(before), this.#layout.read(now)];
    return ([0, 1] as const).flatMap((slot) =>
      JSON.stringify(old[slot]) === JSON.stringify(found[slot]) ? [] : [{ slot, length }],
    );
  }
}
