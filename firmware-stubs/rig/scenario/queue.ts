/** Events of a rig that runs by itself, for someone who asks for the next one. */
import type { RigEvent } from './event.ts';

interface Waiter {
  until: number;
  settle(): void;
}

export class EventQueue {
  readonly #now: () => number;
  readonly #events: RigEvent[] = [];
  #broken: Error | undefined;
  #waiter: Waiter | undefined;

  /** `now`: milliseconds, of the clock that events are timed with. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Those that nobody has taken are kept in the order of time: some sources are slower than others. */
  push(event: RigEvent): void {
    const later = this.#events.findIndex(({ at }) => at > event.at);
    this.#events.splice(later === -1 ? this.#events.length : later, 0, event);
    this.#waiter?.settle();
  }

  /** There is nothing to wait for any more: what has come is given, then every call rejects. The first reason counts. */
  break(reason: Error): void {
    this.#broken ??= reason;
    this.#waiter?.settle();
  }

  /** The next event; undefined where none comes by `until`. One call at a time. */
  next(until: number): Promise<RigEvent | undefined> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        const first = this.#events[0];
        if (first !== undefined && first.at <= until) resolve(this.#events.shift());
        else if (first === undefined && this.#broken !== undefined) reject(this.#broken);
        else if (first !== undefined || this.#now() >= until) resolve(undefined);
        else return;
        clearTimeout(timer);
        this.#waiter = undefined;
      };
      this.#waiter = { until, settle };
      // A timer may come a millisecond early.
      const timer = setTimeout(settle, Math.max(1, Math.ceil(until - this.#now()) + 1));
      settle();
    });
  }
}
