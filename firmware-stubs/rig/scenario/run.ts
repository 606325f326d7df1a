/** Runs one scenario on one rig: events from the rig to the engine, actions from the engine to the rig. */
import { wordsOf } from '../../../agent/protocol/words-of.ts';
import { Engine } from './engine.ts';
import type { ScenarioResult } from './result.ts';
import type { OpenOptions, RigKind, ScenarioRig } from './rig.ts';
import type { Scenario } from './scenario.ts';

export interface RunOptions extends OpenOptions {
  /** `id` of the result. */
  id: string;
  /** Is told of what is done, and of what was expected and has come. */
  progress(at: number, words: string): void;
}

/** Opens a rig, runs the scenario on it and closes it. A rig that fails is a result too: this never rejects. */
export async function runScenario(
  scenario: Scenario,
  kind: RigKind,
  options: RunOptions,
): Promise<ScenarioResult> {
  const { file, name } = scenario;
  const result: ScenarioResult = {
    ...{ id: options.id, file, name, rig: kind.name, seed: options.seed, ok: false, ms: 0 },
    ...{ failures: [], error: undefined, met: [], actions: [], cuts: [], events: [], logs: '' },
  };
  try {
    const rig = await kind.open(scenario, options);
    const engine = new Engine(scenario, options.seed);
    try {
      await follow(rig, engine, result, options.progress);
      const failures = engine.verdict((node) => rig.pointer(node));
      result.failures = failures.map((failure) => ({ ...failure, line: scenario.lineOf(failure.path) }));
      result.ok = result.failures.length === 0;
    } finally {
      result.cuts = engine.draws;
      result.ms = rig.now();
      result.logs = rig.logs();
      await rig.close();
    }
  } catch (error) {
    result.error = wordsOf(error);
    result.ok = false;
  }
  return result;
}

/** Until nothing can change the verdict any more. */
async function follow(
  rig: ScenarioRig,
  engine: Engine,
  { met, actions, events }: ScenarioResult,
  progress: RunOptions['progress'],
): Promise<void> {
  while (true) {
    for (const due of engine.due()) {
      const { action, words } = due;
      actions.push({ at: rig.now(), words });
      progress(rig.now(), words);
      await rig.perform(action);
      engine.performed(due, rig.now());
    }
    if (engine.over) return;
    const until = engine.nextAt;
    const event = await rig.next(until);
    if (event === undefined) engine.pass(until);
    else {
      events.push(event);
      engine.take(event);
    }
    for (const { words, at } of engine.met.slice(met.length)) {
      met.push({ words, at });
      progress(at, `${words}, as expected`);
    }
  }
}
