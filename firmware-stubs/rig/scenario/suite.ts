/** Several scenarios on one kind of rig, some at the same time. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, freemem, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { loadScenario } from './load.ts';
import type { ScenarioResult } from './result.ts';
import type { RigKind } from './rig.ts';
import { runScenario } from './run.ts';
import type { Scenario } from './scenario.ts';

/** What an emulated node and its share of the imager take at most. */
const NODE_BYTES = 800 * 1024 ** 2;

export interface SuiteOptions {
  kind: RigKind;
  /** In the stead of the files' own. */
  seed?: number;
  /** How many run at the same time at most. Default: one a processor, as far as free memory has room for their nodes. */
  parallel?: number;
  /** Folder that keeps what each leaves, under a name of its own; without, it is removed. */
  keep?: string;
  /** A line about a scenario under way; its name first. */
  progress(name: string, line: string): void;
  /** A scenario has ended. */
  ended(result: ScenarioResult): void;
}

/** What a kind of rig cannot do of what a scenario asks for: one line each. Nothing was started. */
export class RefusedError extends Error {}

/** The scenarios in `files`. Throws ConfigError for faults, RefusedError where `kind` cannot do what one asks for. */
export function loadSuite(files: readonly string[], kind: RigKind): Scenario[] {
  const scenarios = files.map(loadScenario);
  const refused = scenarios.flatMap((scenario) =>
    kind.refusals(scenario).map(({ path, why }) => `${scenario.file}:${scenario.lineOf(path)}: ${why}`),
  );
  if (refused.length > 0) throw new RefusedError(refused.join('\n'));
  return scenarios;
}

/** A name for each: that of its file, with a number where there are several of one name. */
export function idsOf(scenarios: readonly Scenario[]): string[] {
  return uniqueNames(scenarios.map(({ file }) => basename(file).replace(/\.ya?ml$/, '')));
}

/** Runs all of them and gives what came of each, in their order. Never rejects for what a scenario or its rig does. */
export async function runSuite(
  scenarios: readonly Scenario[],
  options: SuiteOptions,
): Promise<ScenarioResult[]> {
  const names = idsOf(scenarios);
  const results: ScenarioResult[] = [];
  const waiting = [...scenarios.keys()];
  const work = async () => {
    for (let i = waiting.shift(); i !== undefined; i = waiting.shift()) {
      const result = await runOne(scenarios[i]!, names[i]!, options);
      results[i] = result;
      options.ended(result);
    }
  };
  await Promise.all(Array.from({ length: options.parallel ?? parallelism(scenarios) }, work));
  return results;
}

async function runOne(
  scenario: Scenario,
  name: string,
  { kind, seed = scenario.seed, keep, progress }: SuiteOptions,
): Promise<ScenarioResult> {
  const dir = keep === undefined ? mkdtempSync(join(tmpdir(), 'bootwright-rig-')) : resolve(keep, name);
  mkdirSync(dir, { recursive: true });
  try {
    return await runScenario(scenario, kind, {
      ...{ id: name, dir, seed },
      say: (line) => progress(name, line),
      progress: (at, words) => progress(name, `${(at / 1000).toFixed(3).padStart(8)}  ${words}`),
    });
  } finally {
    if (keep === undefined) rmSync(dir, { recursive: true, force: true });
  }
}

function parallelism(scenarios: readonly Scenario[]): number {
  const nodes = Math.max(...scenarios.map((scenario) => scenario.nodes.length));
  return Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / (nodes * NODE_BYTES))));
}

/** The same names, those that come again with a number. */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let number = 2; taken.has(unique); number++) unique = `${name}-${number}`;
    taken.add(unique);
    return unique;
  });
}
