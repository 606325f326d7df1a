/** The one loop that performs what next.ts decides. */
import type { Ports } from '../ports.ts';
import { next } from './next.ts';
import type { Boot, Effect, Input, State } from './state.ts';

/** How long a reboot waits for the imager to take the last reports. */
const SETTLE_MS = 1000;

/** Runs one boot to its end: `ready`, `rebooting` (the machine restarts) or `failed`. */
export async function run(ports: Ports, boot: Boot): Promise<State> {
  let state: State = { at: 'starting' };
  let input: Input | undefined = { kind: 'started', boot };
  while (input !== undefined) {
    const transition: { state: State; effects: Effect[] } = next(state, input);
    state = transition.state;
    input = await performAll(ports, transition.effects);
  }
  return state;
}

/** Performs effects in order; gives the input they end with. A failure ends the list. */
async function performAll(ports: Ports, effects: readonly Effect[]): Promise<Input | undefined> {
  let input: Input | undefined;
  for (const effect of effects) {
    try {
      input = await perform(ports, effect);
    } catch (error) {
      const why = `${effect.do}: ${error instanceof Error ? error.message : String(error)}`;
      return { kind: 'failed', why };
    }
  }
  return input;
}

async function perform(ports: Ports, effect: Effect): Promise<Input | undefined> {
  switch (effect.do) {
    case 'report':
      ports.link.report(effect.step, effect.detail);
      return undefined;
    case 'mount':
      await ports.disks.mountRoot(effect.pointer.disks, effect.pointer.imagers);
      return { kind: 'mounted', stored: ports.journal.read(effect.pointer.deployment) };
    case 'ask':
      return { kind: 'plan', plan: await ports.link.plan() };
    case 'install':
      ports.journal.install(effect.plan, effect.journal);
      return { kind: 'installed' };
    case 'journal':
      ports.journal.write(effect.journal);
      return undefined;
    case 'script':
      return ended(ports, `script ${effect.script.name}`, () =>
        ports.scripts.run(effect.script, effect.pointer),
      );
    case 'services':
      return ended(ports, 'services', () => ports.services.start(effect.services));
    case 'point':
      ports.pointers.update(effect.pointer);
      return undefined;
    case 'reboot':
      await ports.link.settle(SETTLE_MS);
      ports.power.reboot();
      return undefined;
  }
}

async function ended(ports: Ports, what: string, work: () => Promise<string | undefined>): Promise<Input> {
  const start = ports.uptime();
  const why = await work();
  if (why !== undefined) return { kind: 'failed', why: `${what}: ${why}` };
  return { kind: 'did', detail: { took: Math.round((ports.uptime() - start) * 1000) / 1000 } };
}
