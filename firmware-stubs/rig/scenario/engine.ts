/**
 * What a scenario does about what happens: events and time go in, actions come out, and in the end a verdict. It has no clock
 * and waits for nothing: run.ts asks a rig for the next event and tells it here. Times are milliseconds of the rig's clock.
 */
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import type { RigAction } from './action.ts';
import type { RigEvent } from './event.ts';
import { Expectations } from './expectations.ts';
import type { Failure } from './failure.ts';
import { fits } from './fits.ts';
import { CutDraws, type Draw } from './random-cuts.ts';
import type { Scenario, ScriptItem } from './scenario.ts';
import { actionWords, seconds } from './words.ts';

/** An action whose time has come. */
export interface DueAction {
  at: number;
  action: RigAction;
  words: string;
  later?: { afterMs: number; action: RigAction };
}

interface Armed {
  item: ScriptItem;
  index: number;
  /** How many events have fitted. */
  seen: number;
}

export class Engine {
  readonly #scenario: Scenario;
  readonly #armed: Armed[];
  readonly #expectations: Expectations;
  readonly #cuts: CutDraws | undefined;
  #timers: DueAction[] = [];
  #now = 0;

  /** Begins at time 0 with what is hung on the start. */
  constructor(scenario: Scenario, seed: number) {
    this.#scenario = scenario;
    this.#armed = scenario.script.map((item, index) => ({ item, index, seen: 0 }));
    this.#expectations = new Expectations(scenario.expect);
    this.#cuts = scenario.cuts === undefined ? undefined : new CutDraws(scenario.cuts, seed);
    for (const armed of this.#armed) if (armed.item.on.what.kind === 'start') this.#trigger(armed, 0);
  }

  /** When it wants to be told of the time, though nothing happens. */
  get nextAt(): number {
    return Math.min(
      ...this.#timers.map(({ at }) => at),
      this.#cuts?.nextAt ?? Number.POSITIVE_INFINITY,
      this.#expectations.deadline,
      this.#scenario.timeoutMs,
    );
  }

  /** Random cuts that were drawn so far. */
  get draws(): readonly Draw[] {
    return this.#cuts?.draws ?? [];
  }

  /** What was expected in order and has come. */
  get met(): Expectations['met'] {
    return this.#expectations.met;
  }

  /** Something happened. */
  take(event: RigEvent): void {
    this.#now = Math.max(this.#now, event.at);
    this.#expectations.take(event);
    this.#cuts?.take(event);
    for (const armed of this.#armed) if (fits(armed.item.on, event)) this.#trigger(armed, event.at);
  }

  /** It is `now`, and nothing that has not been told happened before. */
  pass(now: number): void {
    this.#now = Math.max(this.#now, now);
    this.#expectations.pass(this.#now, this.#scenario.timeoutMs);
  }

  /** Actions whose time has come, in order; each is given once. */
  due(): DueAction[] {
    if (this.#cuts !== undefined && this.#cuts.nextAt <= this.#now) {
      const { node, offMs } = this.#cuts.cut();
      const action: RigAction = { kind: 'power', node, power: 'cut' };
      const later: RigAction = { kind: 'power', node, power: 'on' };
      this.#timers.push({
        ...{ at: this.#now, action, words: `${actionWords(action)}, at random` },
        later: { afterMs: offMs, action: later },
      });
    }
    const due = this.#timers.filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    return due;
  }

  /** It has been done, at `now`: what follows by itself is due so much later. */
  performed({ later }: DueAction, now: number): void {
    if (later === undefined) return;
    const { afterMs, action } = later;
    this.#timers.push({ at: now + afterMs, action, words: actionWords(action) });
  }

  /** True as soon as nothing can change the verdict, but for what is looked at in the end. */
  get over(): boolean {
    if (this.#expectations.failure !== undefined) return true;
    const nothingDue = this.#timers.length === 0 || this.#now >= this.#scenario.timeoutMs;
    return this.#expectations.allMet && nothingDue;
  }

  /** What failed; empty where nothing did. `pointer` reads what is in a node's store in the end. */
  verdict(pointer: (node: string) => BootPointer | undefined): Failure[] {
    const { failure } = this.#expectations;
    if (failure !== undefined) return [failure];
    const idle = this.#armed.filter(({ item, seen }) => seen < item.nth);
    return [
      ...idle.map(({ item, seen, index }) => ({
        path: ['script', index],
        expected: `${item.on.words}${item.nth === 1 ? '' : `, number ${item.nth}`}: the script waits for it`,
        came: seen === 0 ? 'none' : String(seen),
        at: this.#now,
        node: item.on.node,
      })),
      ...this.#timers.map(({ at, action, words }) => ({
        path: ['timeout'],
        expected: `${words} at ${seconds(at)}, before the scenario's timeout`,
        came: 'not done',
        at: this.#now,
        node: action.kind === 'imager' ? undefined : action.node,
      })),
      ...this.#expectations.conclude(this.#now, pointer),
    ];
  }

  #trigger(armed: Armed, at: number): void {
    armed.seen++;
    const { item } = armed;
    if (armed.seen !== item.nth) return;
    for (const { action, later } of item.actions)
      this.#timers.push({
        ...{ at: at + item.afterMs, action, words: actionWords(action) },
        ...(later === undefined ? {} : { later }),
      });
  }
}
