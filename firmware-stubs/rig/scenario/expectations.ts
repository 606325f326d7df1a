/** What a scenario expects, against what happens: in order with deadlines, counted, and looked at in the end. Pure. */
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import type { RigEvent } from './event.ts';
import type { Failure } from './failure.ts';
import { fits } from './fits.ts';
import type { EventPattern, Expectation, ScenarioPointer } from './scenario.ts';
import { eventWords, seconds } from './words.ts';

/** Events of the same kind that a failure shows. */
const SHOWN = 8;

type Ordered = Extract<Expectation, { kind: 'event' }>;

/** One of those in order that has come. */
export interface Met {
  words: string;
  at: number;
  event: RigEvent;
}

export class Expectations {
  readonly #all: readonly Expectation[];
  readonly #ordered: readonly Ordered[];
  readonly #counts = new Map<Expectation, number>();
  /** The image that each node's firmware booted last. */
  readonly #booted = new Map<string, string>();
  /** Since the last one that was met. */
  #since: RigEvent[] = [];
  readonly met: Met[] = [];
  failure: Failure | undefined;

  constructor(all: readonly Expectation[]) {
    this.#all = all;
    this.#ordered = all.filter((each) => each.kind === 'event');
  }

  get allMet(): boolean {
    return this.met.length === this.#ordered.length;
  }

  /** When the next one in order must have come. */
  get deadline(): number {
    const next = this.#ordered[this.met.length];
    return next === undefined ? Number.POSITIVE_INFINITY : this.#from + next.withinMs;
  }

  take(event: RigEvent): void {
    if (event.kind === 'step' && event.component === 'firmware' && event.step === 'boot')
      this.#booted.set(event.node ?? '', String(event.detail.image));
    this.#count(event);
    const next = this.#ordered[this.met.length];
    if (next === undefined || this.failure !== undefined) return;
    if (event.at > this.deadline) this.#late(event.at);
    else if (fits(next.on, event)) {
      this.met.push({ words: next.on.words, at: event.at, event });
      this.#since = [];
    } else this.#since.push(event);
  }

  /** It is `now`; nothing came before that was not told. */
  pass(now: number, timeoutMs: number): void {
    const next = this.#ordered[this.met.length];
    if (this.failure !== undefined || next === undefined) return;
    if (now >= this.deadline) this.#late(now);
    else if (now >= timeoutMs)
      this.#fail(next.on, `${next.on.words} before the scenario's ${seconds(timeoutMs)} are over`, now);
  }

  /** What is looked at when it is over. */
  conclude(now: number, pointer: (node: string) => BootPointer | undefined): Failure[] {
    const failures = this.#all.map((each) => this.#final(each, now, pointer));
    return failures.filter((failure) => failure !== undefined);
  }

  #final(
    each: Expectation,
    at: number,
    pointer: (node: string) => BootPointer | undefined,
  ): Failure | undefined {
    switch (each.kind) {
      case 'event':
        return undefined;
      case 'count': {
        const came = this.#counts.get(each) ?? 0;
        if (came === each.times) return undefined;
        const { words, path, node } = each.on;
        return { path, expected: `${words} ${times(each.times)}`, came: times(came), at, node };
      }
      case 'pointer': {
        const { path, node, fields } = each;
        const wrong = pointerDifference(fields, pointer(node));
        return wrong === undefined ? undefined : { path, ...wrong, at, node };
      }
      case 'image': {
        const { path, node, image } = each;
        const came = this.#booted.get(node) ?? 'none';
        if (came === image) return undefined;
        return { path, expected: `image ${image} booted last by ${node}`, came, at, node };
      }
    }
  }

  get #from(): number {
    return this.met.at(-1)?.at ?? 0;
  }

  /** What is counted fails as soon as there is one too many. */
  #count(event: RigEvent): void {
    for (const each of this.#all) {
      if (each.kind !== 'count' || !fits(each.on, event)) continue;
      const came = (this.#counts.get(each) ?? 0) + 1;
      this.#counts.set(each, came);
      if (came <= each.times || this.failure !== undefined) continue;
      const { words, path, node } = each.on;
      this.failure = {
        path,
        expected: `${words} ${times(each.times)}`,
        came: `${times(came)}, at ${seconds(event.at)}: ${eventWords(event)}`,
        at: event.at,
        node: node ?? event.node,
      };
    }
  }

  #late(now: number): void {
    const { on, withinMs } = this.#ordered[this.met.length]!;
    const after = this.met.at(-1)?.words ?? 'the start';
    this.#fail(on, `${on.words} within ${seconds(withinMs)} of ${after}`, now);
  }

  #fail(on: EventPattern, expected: string, at: number): void {
    const alike = this.#since.filter((event) => isAlike(on, event));
    const shown = alike.slice(-SHOWN).map((event) => `${seconds(event.at)} ${eventWords(event)}`);
    const left = alike.length > SHOWN ? [`${alike.length - SHOWN} others`] : [];
    const came = shown.length === 0 ? 'nothing of its kind' : [...left, ...shown].join('; ');
    this.failure = { path: on.path, expected, came, at, node: on.node };
  }
}

/** What might have been taken for it: steps of the servers are many, and only beside one of theirs of interest. */
function isAlike({ node, what }: EventPattern, event: RigEvent): boolean {
  if (event.kind !== what.kind || (node !== undefined && event.node !== node)) return false;
  const server = (component: string | undefined) => ['dhcp', 'tftp', 'http', 'nbd'].includes(component ?? '');
  return event.kind !== 'step' || what.kind !== 'step' || server(event.component) === server(what.component);
}

function times(count: number): string {
  return count === 0 ? 'never' : count === 1 ? 'once' : `${count} times`;
}

/** Fields in which `found` is not what is wanted, in words; undefined where there is none. */
function pointerDifference(
  wanted: Partial<ScenarioPointer>,
  found: BootPointer | undefined,
): { expected: string; came: string } | undefined {
  const keys = Object.keys(wanted) as (keyof ScenarioPointer)[];
  const text = (value: unknown) => (Array.isArray(value) ? value.join(',') : String(value));
  const words = (from: Partial<ScenarioPointer>, some: readonly (keyof ScenarioPointer)[]) =>
    some.map((key) => `${key} ${text(from[key]) || '-'}`).join(', ');
  if (found === undefined)
    return { expected: `pointer with ${words(wanted, keys)}`, came: 'none that is usable' };
  const different = keys.filter((key) => text(wanted[key]) !== text(found[key]));
  if (different.length === 0) return undefined;
  return { expected: `pointer with ${words(wanted, different)}`, came: words(found, different) };
}
