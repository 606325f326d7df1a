/** The one loop that performs what next.ts decides. */
import type { Ports } from '../ports.ts';
import type { Script } from '../protocol/messages.ts';
import type { ScriptOutput } from '../protocol/output.ts';
import { wordsOf } from '../protocol/words-of.ts';
import { next, type Transition } from './next.ts';
import type { Boot, Effect, Input, State } from './state.ts';

/** How long a reboot waits for the imager to take the last reports. */
const SETTLE_MS = 1000;

/** Runs one boot to its end: `ready`, `rebooting` (the machine restarts) or `failed`. */
export async function run(ports: Ports, boot: Boot): Promise<State> {
  let state: State = { at: 'starting' };
  let input: Input | undefined = { kind: 'started', boot };
  while (input !== undefined) {
    const transition: Transition = next(state, input);
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
      const why = `${effect.do}: ${wordsOf(error)}`;
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
    case 'outputs':
      for (const output of ports.outputs.kept(effect.plan)) ports.link.output(output);
      return undefined;
    case 'network':
      return { kind: 'networked', outcome: await ports.network.set(effect.adapters) };
    case 'check':
      ports.scripts.check(effect.script);
      return undefined;
    case 'script':
      return runScript(ports, effect);
    case 'services':
      return startServices(ports, effect);
    case 'point':
      ports.pointers.update(effect.pointer);
      return undefined;
    case 'reboot':
      await ports.link.settle(SETTLE_MS);
      ports.power.reboot();
      return undefined;
  }
}

async function runScript(
  ports: Ports,
  { script, pointer, boot }: Extract<Effect, { do: 'script' }>,
): Promise<Input> {
  const began = ports.uptime();
  const { code, timedOut, output } = await ports.scripts.run(script, pointer, boot.bootedImage);
  const left: ScriptOutput = {
    ...{ script: script.name, deployment: pointer.deployment, bootId: boot.bootId, stage: script.stage },
    ...{ code, timedOut, began: milliseconds(began), took: milliseconds(ports.uptime() - began), output },
  };
  // Before the journal calls it done: of a script that never runs again the output is there.
  keepOutput(ports, left);
  ports.link.output(left);
  const why = failureOf(script, left);
  if (why === undefined) return { kind: 'did', detail: { took: left.took } };
  ports.console(`${why}; ${endOf(left.output)}`);
  return { kind: 'scriptFailed', why };
}

/** A disk without room for it changes nothing of how the script ended, nor of what becomes of that. The imager is told all the same. */
function keepOutput(ports: Ports, left: ScriptOutput): void {
  try {
    ports.outputs.keep(left);
  } catch (error) {
    ports.console(`the output of script ${left.script} is not kept: ${wordsOf(error)}`);
  }
}

/**
 * Why a script failed; undefined where it ended well. Nothing of what it said: whoever is in the node's network may read steps,
 * and a script may say anything.
 */
function failureOf({ name, timeoutSeconds }: Script, { code, timedOut }: ScriptOutput): string | undefined {
  if (code === 0 && !timedOut) return undefined;
  return `script ${name}: ${timedOut ? `no end within ${timeoutSeconds} s` : `exit ${code}`}`;
}

/** The last lines of an output in one. */
function endOf(output: string): string {
  const lines = output.trim().split('\n').slice(-3).join(' | ').slice(-1000);
  return lines === '' ? 'no output' : lines.replace(/\p{Cc}+/gu, ' ');
}

async function startServices(
  ports: Ports,
  { services }: Extract<Effect, { do: 'services' }>,
): Promise<Input> {
  const start = ports.uptime();
  const why = await ports.services.start(services);
  if (why !== undefined) return { kind: 'failed', why: `services: ${why}` };
  return { kind: 'did', detail: { took: milliseconds(ports.uptime() - start) } };
}

/** Seconds with three places. */
function milliseconds(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
