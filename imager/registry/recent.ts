/** What is durable in the log and not yet in the tree, in front of the tree. */
import { type Base, type Layer, overlay, type Stored, type Write } from './buffered.ts';

export class Recent implements Base {
  readonly #under: Base;
  /** Newest. */
  #open: Layer = new Map();
  /** On its way into the tree, which may hold some of it already. */
  #leaving: Layer = new Map();

  constructor(under: Base) {
    this.#under = under;
  }

  /** How many entries wait to leave. */
  get size(): number {
    return this.#open.size;
  }

  get(written: string): Stored | undefined {
    for (const layer of [this.#open, this.#leaving]) {
      const stored = layer.get(written);
      if (stored !== undefined || layer.has(written)) return stored;
    }
    return this.#under.get(written);
  }

  range(prefix: string): Map<string, Stored> {
    const seen = new Map(this.#under.range(prefix));
    overlay(seen, this.#leaving, prefix);
    overlay(seen, this.#open, prefix);
    return seen;
  }

  add(writes: readonly Write[]): void {
    for (const { written, stored } of writes) this.#open.set(written, stored);
  }

  /** What is to go into the tree now. It is read from here until it has gone. */
  leave(): ReadonlyMap<string, Stored | undefined> {
    this.#leaving = this.#open;
    this.#open = new Map();
    return this.#leaving;
  }

  /** The tree holds what was leaving. */
  gone(): void {
    this.#leaving = new Map();
  }

  /** It could not leave, and waits again. */
  stay(): void {
    for (const [written, stored] of this.#open) this.#leaving.set(written, stored);
    this.#open = this.#leaving;
    this.#leaving = new Map();
  }
}
