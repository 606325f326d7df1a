/** The double-reboot state machine: state + input -> state + effects. Pure; every decision of the agent is here. */
import type { Plan, StepDetail } from '../protocol/messages.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../protocol/pointer/record.ts';
import type { NetworkOutcome } from './network.ts';
import { advance, begun, ended, planFaults, remaining } from './plan.ts';
import type { Boot, Effect, Input, Journal, State, Todo } from './state.ts';

/** Names of scripts, each of at most 63 characters, that fit well into the text of a step. */
const MAX_FAILURES = 32;

export interface Transition {
  state: State;
  effects: Effect[];
}

/** Thrown for an input the state has no transition for: a defect of the caller, never of the node. */
export class NoTransition extends Error {
  constructor(state: State, input: Input) {
    super(`no transition from "${state.at}" on "${input.kind}"`);
  }
}

/** Where `input` leads from `state`, and what is to be done about it. Throws NoTransition. */
export function next(state: State, input: Input): Transition {
  switch (state.at) {
    case 'starting':
      if (input.kind === 'started') return start(input.boot);
      break;
    case 'mounting':
      if (input.kind === 'failed') return fail(state, input.why);
      if (input.kind === 'mounted') return mounted(state, input.stored);
      break;
    case 'asking':
      if (input.kind === 'failed') return fail(state, input.why);
      if (input.kind === 'plan') return planned(state, input.plan);
      break;
    case 'installing':
      if (input.kind === 'failed') return fail(state, input.why);
      if (input.kind === 'installed') return installed(state);
      break;
    case 'working':
      if (input.kind === 'failed') return fail(state, input.why);
      if (input.kind === 'networked') return networked(state, input.outcome);
      if (input.kind === 'did') return did(state, input.detail);
      if (input.kind === 'scriptFailed') return scriptFailed(state, input.why);
      break;
    case 'rebooting':
      if (input.kind === 'failed') return rebootFailed(state, input.why);
      break;
    case 'ready':
      if (input.kind === 'failed') return stay(input.why);
      break;
    case 'failed':
      if (input.kind === 'failed') return stay(both(state.why, input.why));
      break;
  }
  throw new NoTransition(state, input);
}

function start(boot: Boot): Transition {
  const { pointer } = boot;
  if (pointer === undefined) return stay('the EEPROM holds no boot pointer');
  return {
    state: { at: 'mounting', boot, pointer },
    effects: [
      report('pointer', {
        image: pointer.image,
        booted: boot.bootedImage,
        sequence: pointer.sequence,
        phase: pointer.phase,
        attempts: pointer.attempts,
      }),
      { do: 'mount', pointer },
    ],
  };
}

type At<K extends State['at']> = Extract<State, { at: K }>;

function mounted(state: At<'mounting'>, stored: { journal: Journal; plan: Plan } | undefined): Transition {
  const { boot, pointer } = state;
  const effects: Effect[] = [report('mounted', { disk: pointer.disks[0] ?? '' })];
  if (stored === undefined)
    return { state: { at: 'asking', boot, pointer }, effects: [...effects, { do: 'ask' }] };
  const { journal, plan } = stored;
  effects.push({ do: 'outputs', plan });
  if (journal.running !== undefined) effects.push(report('cut-short', { script: journal.running }));
  const todo = remaining(plan, journal, boot.bootId);
  return work({ state: { at: 'working', boot, pointer, plan, journal, todo }, effects });
}

function planned(state: At<'asking'>, plan: Plan | null): Transition {
  const { boot, pointer } = state;
  if (plan === null) return fail(state, 'the imager has no plan for this node');
  const faults = planFaults(plan, pointer.deployment);
  if (faults.length > 0) return fail(state, `plan refused: ${faults.join('; ')}`);
  const journal: Journal = {
    deployment: pointer.deployment,
    phase: 'installed',
    bootId: boot.bootId,
    done: [],
    failed: [],
  };
  return {
    state: { at: 'installing', boot, pointer, plan, journal },
    effects: [
      report('plan', { scripts: plan.scripts.length, secondReboot: plan.secondReboot }),
      { do: 'install', plan, journal },
    ],
  };
}

function installed(state: At<'installing'>): Transition {
  const todo = remaining(state.plan, state.journal, state.boot.bootId);
  return work({ state: { ...state, at: 'working', todo }, effects: [report('installed', {})] });
}

/** A node that cannot be reached as it should goes on as it can be. */
function networked(state: At<'working'>, outcome: NetworkOutcome): Transition {
  const [done, ...todo] = state.todo;
  if (done?.do !== 'network') throw new NoTransition(state, { kind: 'networked', outcome });
  const set = outcome.set.map(({ name, mac, network }) =>
    report('network', {
      ...{ adapter: name, mac },
      ...(network === undefined ? {} : { address: `${network.address}/${network.prefix}` }),
      ...(network?.gateway === undefined ? {} : { gateway: network.gateway }),
    }),
  );
  const failed = outcome.faults.map((why) => report('network-failed', { why }));
  return work({ state: { ...state, todo }, effects: [...set, ...failed] });
}

function did(state: At<'working'>, detail: StepDetail): Transition {
  const [done, ...todo] = state.todo;
  if (done === undefined) throw new NoTransition(state, { kind: 'did', detail });
  const { journal, effects } = journalled(state, done);
  if (done.do === 'script')
    effects.push(report(`stage${done.script.stage}`, { script: done.script.name, ...detail }));
  if (done.do === 'services') effects.push(report('services', detail));
  return work({ state: { ...state, journal, todo }, effects });
}

/** A script has failed: that is durable before anything else comes of it. */
function scriptFailed(state: At<'working'>, why: string): Transition {
  const [first, ...todo] = state.todo;
  if (first?.do !== 'script') throw new NoTransition(state, { kind: 'scriptFailed', why });
  const { script } = first;
  const journal = ended(state.journal, script, false);
  const effects: Effect[] = [
    { do: 'journal', journal },
    report('script-failed', { script: script.name, stage: script.stage, policy: script.onFailure, why }),
  ];
  const after = ({ state, effects: more }: Transition) => ({ state, effects: [...effects, ...more] });
  switch (script.onFailure) {
    case 'continue':
      return work({ state: { ...state, journal, todo }, effects });
    case 'stop':
      return after(stay(why));
    case 'fall-back':
      return after(fallBack(state, why));
    case 'retry':
      return after(fail(state, why));
  }
}

/**
 * Something on the way to a restart has failed, a journal that is not to be written mostly: what was to come of a failure comes of
 * it all the same, and a restart that was planned has failed as anything else. Once: then the node stays up.
 */
function rebootFailed({ why: former, despite }: At<'rebooting'>, later: string): Transition {
  const why = both(former, later);
  if (despite === undefined) return stay(why);
  const { state, effects } = (despite.fallBack ? fallBack : fail)(despite, why);
  return { state: state.at === 'rebooting' ? { at: 'rebooting', why } : state, effects };
}

function both(former: string | undefined, later: string): string {
  return former === undefined ? later : `${former}; ${later}`;
}

/** Begins the first thing left to do. */
function work({ state, effects }: { state: At<'working'>; effects: Effect[] }): Transition {
  const { boot, pointer, plan } = state;
  const [first] = state.todo;
  if (first === undefined) return { state: { at: 'ready' }, effects };
  switch (first.do) {
    case 'reboot':
      return {
        state: { at: 'rebooting', despite: { boot, pointer, fallBack: false } },
        effects: [
          ...effects,
          ...journalled(state, first).effects,
          ...renewAttempts(boot, pointer),
          report('reboot', { number: first.number }),
          { do: 'reboot' },
        ],
      };
    case 'network':
      return { state, effects: [...effects, { do: 'network', adapters: first.adapters }] };
    case 'script': {
      const { script } = first;
      const journal = begun(state.journal, script);
      return {
        state: { ...state, journal },
        // A script that is begun and does not end was cut short: what forbids it comes before that.
        effects: [
          ...effects,
          { do: 'check', script },
          { do: 'journal', journal },
          { do: 'script', script, pointer, boot },
        ],
      };
    }
    case 'services':
      return { state, effects: [...effects, { do: 'services', services: plan.services }] };
    case 'ready':
      return {
        state: { at: 'ready' },
        effects: [
          ...effects,
          ...journalled(state, first).effects,
          ...(boot.bootedImage === pointer.image ? [settled(pointer)] : []),
          report('ready', { image: boot.bootedImage, ...failures(state.journal) }),
        ],
      };
  }
}

/** The journal moved on by `todo`, and what makes it durable where something of it must be. */
function journalled(state: At<'working'>, todo: Todo): { journal: Journal; effects: Effect[] } {
  const journal = advance(state.journal, todo, state.boot.bootId);
  return { journal, effects: journal === state.journal ? [] : [{ do: 'journal', journal }] };
}

/** A deployment that reboots on purpose has made progress: the boots it took are not held against it. */
function renewAttempts(boot: Boot, pointer: BootPointer): Effect[] {
  if (pointer.phase !== 'deploy' || boot.bootedImage !== pointer.image) return [];
  return pointer.attempts === FRESH_ATTEMPTS
    ? []
    : [{ do: 'point', pointer: { ...pointer, attempts: FRESH_ATTEMPTS } }];
}

/** The image has reached ready: it is what later deployments fall back to. */
function settled(pointer: BootPointer): Effect {
  return {
    do: 'point',
    pointer: { ...pointer, phase: 'ready', attempts: FRESH_ATTEMPTS, fallback: pointer.image },
  };
}

/** What a node that is ready says of scripts that failed and were let pass: the first of many. */
function failures({ failed }: Journal): Record<string, string> {
  if (failed.length === 0) return {};
  const more = failed.length - MAX_FAILURES;
  return {
    failed: failed.slice(0, MAX_FAILURES).join(',') + (more > 0 ? ` and ${more} more` : ''),
  };
}

/** What the node was before a failure is dealt with. */
interface Failing {
  boot: Boot;
  pointer: BootPointer;
}

/**
 * A new image that cannot get ready is booted again, until the firmware's count of attempts leads to the fallback;
 * without a fallback, or where the firmware does not count, the node stays up for investigation.
 */
function fail({ boot, pointer }: Failing, why: string): Transition {
  // Of an image that is its own fallback the last attempt is the last: the firmware would boot it for ever.
  const retry = isOnTrial(boot, pointer) && (pointer.attempts > 0 || pointer.fallback !== pointer.image);
  if (!retry) return stay(why);
  return {
    state: { at: 'rebooting', why, despite: { boot, pointer, fallBack: false } },
    effects: [report('retry', { why }), { do: 'reboot' }],
  };
}

/** As fail(), without the attempts that are left. */
function fallBack({ boot, pointer }: Failing, why: string): Transition {
  if (!isOnTrial(boot, pointer) || pointer.fallback === pointer.image) return fail({ boot, pointer }, why);
  return {
    state: { at: 'rebooting', why, despite: { boot, pointer, fallBack: true } },
    effects: [
      { do: 'point', pointer: { ...pointer, attempts: 0 } },
      report('fall-back', { image: pointer.fallback, why }),
      { do: 'reboot' },
    ],
  };
}

/** A new image runs, and the firmware takes another one by itself where it does not get ready. */
function isOnTrial(boot: Boot, { phase, fallback, image }: BootPointer): boolean {
  return phase === 'deploy' && fallback !== '' && boot.firmwareCounts && boot.bootedImage === image;
}

function stay(why: string): Transition {
  return { state: { at: 'failed', why }, effects: [report('failed', { why })] };
}

function report(step: string, detail: StepDetail): Effect {
  return { do: 'report', step, detail };
}
