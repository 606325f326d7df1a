/** A rig in virtual time that shows what a test wrote down, and remembers what it was told to do. */
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';
import type { RigAction } from '../../../firmware-stubs/rig/scenario/action.ts';
import type { RigEvent } from '../../../firmware-stubs/rig/scenario/event.ts';
import type { RigKind, ScenarioRig } from '../../../firmware-stubs/rig/scenario/rig.ts';
import { actionWords } from '../../../firmware-stubs/rig/scenario/words.ts';

/** Lines `SECONDS step NAME`, `SECONDS line TEXT`, `SECONDS write SLOT`: events of n1. */
export function eventsOf(text: string): RigEvent[] {
  return text
    .trim()
    .split('\n')
    .map((row): RigEvent => {
      const [, seconds, kind, rest = ''] = /^\s*([\d.]+) (step|line|write) (.*)$/.exec(row)!;
      const happened = { at: Number(seconds) * 1000, node: 'n1' };
      if (kind === 'line') return { ...happened, kind, text: rest };
      if (kind === 'write') return { ...happened, kind, slot: rest === '0' ? 0 : 1, stored: 4, length: 4 };
      const [component = '', step = '', ...pairs] = rest.split(' ');
      const detail = Object.fromEntries(pairs.map((pair) => pair.split('=')));
      return { ...happened, kind: 'step', component: component as 'agent', step, detail };
    });
}

export class ScriptedRig implements ScenarioRig {
  /** `SECONDS WORDS` of each action. */
  readonly done: string[] = [];
  closed = false;
  #now = 0;
  #events: RigEvent[];
  readonly #answer: (action: RigAction, now: number) => RigEvent[];
  readonly #pointer: Partial<BootPointer>;

  /** `answer`: what an action brings about. */
  constructor(
    events: RigEvent[],
    answer: (action: RigAction, now: number) => RigEvent[] = () => [],
    pointer: Partial<BootPointer> = {},
  ) {
    this.#events = events;
    this.#answer = answer;
    this.#pointer = pointer;
  }

  /** This rig as the only one of its kind. */
  get kind(): RigKind {
    return { name: 'simulated', refusals: () => [], open: async () => this };
  }

  now(): number {
    return this.#now;
  }

  async next(until: number): Promise<RigEvent | undefined> {
    const first = this.#events[0];
    if (first === undefined || first.at > until) {
      this.#now = until;
      return undefined;
    }
    this.#now = first.at;
    return this.#events.shift();
  }

  async perform(action: RigAction): Promise<void> {
    this.done.push(`${this.#now / 1000} ${actionWords(action)}`);
    this.#events = [...this.#events, ...this.#answer(action, this.#now)].sort((a, b) => a.at - b.at);
  }

  pointer(): BootPointer {
    return this.#pointer as BootPointer;
  }

  logs(): string {
    return "--- imager's log\nserving";
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
