/**
 * What a node of a scenario went through, in a form in which a real run and a simulated one are compared: its steps in order,
 * power-on by power-on, without times, and what scripts said.
 */
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { RigEvent } from '../../firmware-stubs/rig/scenario/event.ts';

export interface Account {
  /** Steps from each power-on to the next, or to the end. */
  powerOns: string[][];
  /** How often each line of a script was on the console. */
  said: Record<string, number>;
  /** In the end; deployment ids are drawn. */
  pointer: Omit<BootPointer, 'deployment'> | null;
}

/** Told by the clock, or by what only an emulated machine has. */
const UNTOLD = ['boot', 'seconds', 'uptime', 'took'];

export function accountOf(
  events: readonly RigEvent[],
  node: string,
  pointer: BootPointer | undefined,
): Account {
  const account: Account = { powerOns: [], said: {}, pointer: null };
  if (pointer !== undefined) {
    const { deployment: _, ...rest } = pointer;
    account.pointer = rest;
  }
  for (const event of events) {
    if (event.node !== node) continue;
    if (event.kind === 'line' && /^(?:ran |half way)/.test(event.text))
      account.said[event.text] = (account.said[event.text] ?? 0) + 1;
    if (event.kind !== 'step') continue;
    if (event.component === 'rig' && event.step === 'power-on') account.powerOns.push([]);
    if (event.component === 'firmware' || event.component === 'agent')
      account.powerOns.at(-1)?.push(stepWords(event));
  }
  return account;
}

function stepWords({ component, step, reason, detail }: Extract<RigEvent, { kind: 'step' }>): string {
  const details = Object.entries(detail).filter(([key]) => !UNTOLD.includes(key));
  return [component, step, ...(reason === undefined ? [] : [`(${reason})`])]
    .concat(details.map(([key, value]) => `${key}=${value}`))
    .join(' ');
}

/** What two runs of a scenario must have in common. */
export interface Outcome extends Pick<Account, 'said' | 'pointer'> {
  /** Scripts that were reported to have ended well, in order. */
  scripts: string[];
  /** All other steps. */
  powerOns: string[][];
}

/**
 * Outcomes of a real run and of one whose power cuts came at once. A real node does a little more between the event that a cut
 * was hung on and the cut: of a power-on that ended so the real one's steps are as many as the other's, and a script may have
 * ended in the one before. How often a node asked an imager that was away is the host's speed.
 */
export function outcomesOf(real: Account, prompt: Account): [real: Outcome, prompt: Outcome] {
  const [a, b] = [outcomeOf(real), outcomeOf(prompt)];
  const last = a.powerOns.length - 1;
  const powerOns = a.powerOns.map((steps, i) => (i < last ? steps.slice(0, b.powerOns[i]?.length) : steps));
  return [{ ...a, powerOns }, b];
}

function outcomeOf({ powerOns, said, pointer }: Account): Outcome {
  const isScript = (step: string) => step.startsWith('agent stage');
  return {
    ...{ said, pointer },
    scripts: powerOns.flat().filter(isScript),
    powerOns: powerOns.map((steps) => withoutWaits(steps.filter((step) => !isScript(step)))),
  };
}

/** Without starts of the firmware that came to no kernel, where another one followed. */
function withoutWaits(steps: readonly string[]): string[] {
  const starts: string[][] = [];
  for (const step of steps) {
    if (/^firmware error \((?:no image|no DHCP)/.test(step)) continue;
    if (step === 'firmware start') starts.push([]);
    starts.at(-1)?.push(step);
  }
  return starts
    .filter((each, i) => i === starts.length - 1 || each.some((step) => step.startsWith('firmware boot')))
    .flat();
}
