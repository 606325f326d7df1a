/** Power cuts at random moments between two events, drawn from a seed. Pure: events in, cuts out. */
import type { RigEvent } from './event.ts';
import { fits } from './fits.ts';
import { seededRandom } from './random.ts';
import type { RandomCuts } from './scenario.ts';

/** A moment that was drawn. */
export interface Draw {
  /** When its window opened, and how much later the cut was to be. */
  openedAt: number;
  afterMs: number;
  /** `spent`: the window closed first, or the power went for another reason. */
  outcome: 'pending' | 'cut' | 'spent';
}

export class CutDraws {
  readonly #cuts: RandomCuts;
  readonly #random: () => number;
  readonly draws: Draw[] = [];

  constructor(cuts: RandomCuts, seed: number) {
    this.#cuts = cuts;
    this.#random = seededRandom(seed);
  }

  /** When the power is to be cut next. Infinity: nothing is drawn. */
  get nextAt(): number {
    const pending = this.#pending;
    return pending === undefined ? Number.POSITIVE_INFINITY : pending.openedAt + pending.afterMs;
  }

  /** Opens and closes windows. A window that is open does not open again. */
  take(event: RigEvent): void {
    const { from, to, count, spreadMs } = this.#cuts;
    const pending = this.#pending;
    if (pending !== undefined) {
      if (fits(to, event) || this.#isOff(event)) pending.outcome = 'spent';
      return;
    }
    const made = this.draws.filter(({ outcome }) => outcome === 'cut').length;
    if (made < count && fits(from, event))
      this.draws.push({ openedAt: event.at, afterMs: this.#random() * spreadMs, outcome: 'pending' });
  }

  /** Its time has come: the cut is made. */
  cut(): RandomCuts {
    const pending = this.#pending;
    if (pending !== undefined) pending.outcome = 'cut';
    return this.#cuts;
  }

  /** Its power went: there is none left to cut, and whoever took it gives it back. */
  #isOff(event: RigEvent): boolean {
    return (
      event.kind === 'step' &&
      event.component === 'rig' &&
      event.step === 'off' &&
      event.node === this.#cuts.node
    );
  }

  get #pending(): Draw | undefined {
    return this.draws.find(({ outcome }) => outcome === 'pending');
  }
}
