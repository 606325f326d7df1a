/** Counters by reason. The first of each reason is also logged, the rest only counted: a flood cannot fill the log. */
import type { Logger } from 'pino';

export class Tally {
  readonly #counts = new Map<string, number>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  count(key: string, by = 1): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
  }

  /** Counts something that should not happen often, and logs its first occurrence with `detail`. */
  notice(
    key: string,
    detail: Record<string, unknown>,
    words = `first ${key}, later ones are only counted`,
  ): void {
    if (!this.#counts.has(key)) this.#log.warn({ ...detail, key }, words);
    this.count(key);
  }

  stats(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
