import type { Logger } from 'pino';

/** Counts by reason; the first of each reason that is a problem goes to the log, so that nobody can flood it. */
export class Tally {
  readonly #counts: Record<string, number> = {};
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  count(key: string): void {
    this.#counts[key] = (this.#counts[key] ?? 0) + 1;
  }

  /** Counts a problem and logs its first occurrence. */
  problem(key: string, detail: Record<string, unknown>): void {
    this.count(key);
    if (this.#counts[key] === 1) this.#log.warn(detail, `NBD ${key} (further ones are only counted)`);
  }

  read(): Record<string, number> {
    return { ...this.#counts };
  }
}
