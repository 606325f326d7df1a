/**
 * Scenarios on the simulated rig. What it says of the files in fixtures/scenarios is what the QEMU rig said of them
 * (fixtures/scenarios/qemu, made by this test with BOOTWRIGHT_SCENARIOS=record); with BOOTWRIGHT_SCENARIOS=qemu they are run on both.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { loadScenario } from '../../firmware-stubs/rig/scenario/load.ts';
import { qemuKind } from '../../firmware-stubs/rig/scenario/qemu-kind.ts';
import type { ScenarioResult } from '../../firmware-stubs/rig/scenario/result.ts';
import type { RigKind, ScenarioRig } from '../../firmware-stubs/rig/scenario/rig.ts';
import { runScenario } from '../../firmware-stubs/rig/scenario/run.ts';
import { simulatedRig } from '../../firmware-stubs/simulated/lab/kind.ts';
import { type Account, accountOf, outcomesOf } from './account.ts';

const POLICIES = ['retry', 'fall-back', 'stop', 'continue'].map((policy) => `script-${policy}`);
const FILES = ['double-reboot-power-cuts', 'fallback', 'imager-restart', ...POLICIES];
const WITH_QEMU = process.env.BOOTWRIGHT_SCENARIOS;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'scenarios-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs a file; what it came to, and its node's account. */
async function run(
  name: string,
  kind: RigKind,
  seed = 1,
): Promise<{ result: ScenarioResult; account: Account }> {
  let rig: ScenarioRig | undefined;
  const watched: RigKind = {
    ...kind,
    open: async (...args) => {
      rig = await kind.open(...args);
      return rig;
    },
  };
  const result = await runScenario(loadScenario(projectFile(`fixtures/scenarios/${name}.yaml`)), watched, {
    ...{ id: name, seed, dir: join(dir, `${kind.name}-${name}`) },
    ...{ say: () => {}, progress: () => {} },
  });
  return { result, account: accountOf(result.events, 'n1', rig?.pointer('n1')) };
}

describe.each(FILES)('%s', (name) => {
  const recorded = projectFile(`fixtures/scenarios/qemu/${name}.json`);

  it('goes as it expects, and as it went on QEMU', async () => {
    const { result, account } = await run(name, simulatedRig);
    expect(result.error).toBeUndefined();
    expect(result.failures).toEqual([]);
    const [real, simulated] = outcomesOf(JSON.parse(readFileSync(recorded, 'utf8')) as Account, account);
    expect(simulated).toEqual(real);
  });

  it('a seed gives the same events, at the same times', async () => {
    const [first, second] = [await run(name, simulatedRig, 7), await run(name, simulatedRig, 7)];
    expect(first.result.events.length).toBeGreaterThan(100);
    expect(second.result.events).toEqual(first.result.events);
  });

  const agree = async () => {
    const qemu = await run(name, qemuKind);
    expect(qemu.result.error).toBeUndefined();
    expect(qemu.result.failures).toEqual([]);
    if (WITH_QEMU === 'record') {
      mkdirSync(projectFile('fixtures/scenarios/qemu'), { recursive: true });
      writeFileSync(recorded, `${JSON.stringify(qemu.account, undefined, 1)}\n`);
    }
    const [real, simulated] = outcomesOf(qemu.account, (await run(name, simulatedRig)).account);
    expect(simulated).toEqual(real);
  };
  if (WITH_QEMU !== undefined) it('agrees with the QEMU rig', agree, 600_000);
});
