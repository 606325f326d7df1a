/** The closed list of steps against what happens: nothing that a rig tells of may be missing in it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectFile } from '../../../firmware-stubs/rig/project.ts';
import type { RigEvent } from '../../../firmware-stubs/rig/scenario/event.ts';
import { loadScenario } from '../../../firmware-stubs/rig/scenario/load.ts';
import type { RigKind } from '../../../firmware-stubs/rig/scenario/rig.ts';
import { runScenario } from '../../../firmware-stubs/rig/scenario/run.ts';
import { STEPS, stepFault } from '../../../firmware-stubs/rig/scenario/steps.ts';
import { simulatedRig } from '../../../firmware-stubs/simulated/lab/kind.ts';

test.each(['fallback', 'imager-restart'])('%s: each step that is told, with its details', async (name) => {
  const seen: RigEvent[] = [];
  const kind: RigKind = {
    ...simulatedRig,
    open: async (...args) => {
      const rig = await simulatedRig.open(...args);
      const next = rig.next.bind(rig);
      rig.next = async (until) => {
        const event = await next(until);
        if (event !== undefined) seen.push(event);
        return event;
      };
      return rig;
    },
  };
  const dir = mkdtempSync(join(tmpdir(), 'rig-steps-'));
  try {
    const scenario = loadScenario(projectFile(`fixtures/scenarios/${name}.yaml`));
    const quiet = { say: () => {}, progress: () => {} };
    expect((await runScenario(scenario, kind, { id: name, dir, seed: 1, ...quiet })).ok).toBe(true);
  } finally {
    rmSync(dir, { recursive: true });
  }
  const steps = seen.filter((event) => event.kind === 'step');
  expect(new Set(steps.map(({ component }) => component)).size).toBeGreaterThanOrEqual(5);
  const unknown = steps.filter((event) => stepFault(event.step, event.component, Object.keys(event.detail)));
  expect(unknown).toEqual([]);
});

test.each(Object.entries(STEPS))(
  'the table of README.md has all steps of %s, and their details',
  (of, steps) => {
    const table = readFileSync(projectFile('firmware-stubs/rig/scenario/README.md'), 'utf8');
    const row = table.split('\n').find((line) => line.startsWith(`| \`${of}\` `));
    const everywhere = ['boot', 'seconds', 'uptime'];
    const words = Object.entries(steps).flatMap(([step, details]) => [
      step,
      ...details.filter((detail) => !everywhere.includes(detail)),
    ]);
    expect(words.filter((word) => !row?.includes(`\`${word}\``))).toEqual([]);
  },
);
