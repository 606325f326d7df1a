/**
 * Virtual time: work is done at its time, and the time then is that of the next work. Nothing waits, so that minutes of a
 * lab take milliseconds.
 *
 * A program runs without a pause from one wait to the next. What it does to the world meanwhile comes about afterwards, one
 * thing after the other, as if it had waited for each: so its power can be cut between any two.
 */

interface Appointment {
  at: number;
  /** Orders what is due at the same time. */
  tie: number;
  work: () => void;
}

/** Lets every promise that can go on do so. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

export class VirtualTime {
  #now = 0;
  /** Soonest last. */
  readonly #agenda: Appointment[] = [];
  #deeds: (() => void)[] = [];
  readonly #random: () => number;

  /** `random` (0 to 1, below 1) decides the order of what is due at the same time; the same numbers, the same order. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds since the lab began. */
  now(): number {
    return this.#now;
  }

  /** Does `work` in so many milliseconds. Gives what takes it off the agenda. */
  after(milliseconds: number, work: () => void): () => void {
    const appointment = { at: this.#now + Math.max(0, milliseconds), tie: this.#random(), work };
    let index = this.#agenda.length;
    while (index > 0 && isLater(appointment, this.#agenda[index - 1]!)) index--;
    this.#agenda.splice(index, 0, appointment);
    return () => {
      const place = this.#agenda.indexOf(appointment);
      if (place >= 0) this.#agenda.splice(place, 1);
    };
  }

  /** Does `deed` at this time, after all deeds before it. */
  soon(deed: () => void): void {
    this.#deeds.push(deed);
  }

  /** Lets time go on to `until`, or until `over` holds, which is asked after each thing that is done. */
  async run(until: number, over: () => boolean): Promise<void> {
    while (!over()) {
      const deed = this.#deeds.shift();
      if (deed !== undefined) {
        deed();
        continue;
      }
      await settled();
      if (over()) return;
      if (this.#deeds.length > 0) continue;
      const next = this.#agenda.at(-1);
      if (next === undefined || next.at > until) {
        this.#now = Math.max(this.#now, until);
        return;
      }
      this.#agenda.pop();
      this.#now = next.at;
      next.work();
    }
  }
}

function isLater(a: Appointment, b: Appointment): boolean {
  return a.at > b.at || (a.at === b.at && a.tie >= b.tie);
}
