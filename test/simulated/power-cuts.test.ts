/**
 * The double reboot with the power cut after each single thing the node does to the world: each line, each step towards a file
 * on its disk, each message, every so many bytes of each write to its pointer store. BOOTWRIGHT_CUT_STOP is the number of bytes
 * between two such cuts (test/pointer/torn.test.ts has one after every byte), BOOTWRIGHT_CUT_RUNS the number of runs with several cuts
 * at random.
 */
import { describe, expect, it } from 'vitest';
import type { RigEvent } from '../../firmware-stubs/rig/scenario/event.ts';
import type { Scenario } from '../../firmware-stubs/rig/scenario/scenario.ts';
import { eventWords } from '../../firmware-stubs/rig/scenario/words.ts';
import { randomFrom } from '../serial/virtual-line.ts';
import { NODE, OneNode, SCRIPTS, scenarioOf } from './one-node.ts';

const STOP = Number(process.env.BOOTWRIGHT_CUT_STOP ?? 250);
const RUNS = Number(process.env.BOOTWRIGHT_CUT_RUNS ?? 100);
const SLOT = 4096;
const STOPS = Array.from({ length: Math.ceil(SLOT / STOP) - 1 }, (_, i) => (i + 1) * STOP);

/** Boots until it is ready, with the power cut after the deeds of these numbers, counted anew from each cut. */
async function bootWithCuts(scenario: Scenario, cuts: readonly number[], seed = 1): Promise<OneNode> {
  const lab = new OneNode(scenario, seed);
  const label = `cuts ${cuts}, seed ${seed}`;
  let sequence = 1;
  const until = (...steps: string[]) =>
    lab.until((event) => {
      const ends = event.kind === 'step' && steps.includes(event.step);
      // However little of a write is there: what was in force stays, or what is written has taken its place.
      if (event.kind === 'write' && (event.stored === event.length || cuts.length === 0)) expectNext(event);
      if (ends) expectNext(event);
      return ends;
    });
  const expectNext = (event: RigEvent) => {
    const inForce = lab.rig.pointer(NODE)?.sequence ?? 0;
    expect([sequence, sequence + 1], `${label}: ${eventWords(event)}`).toContain(inForce);
    sequence = inForce;
  };
  for (const cut of cuts) {
    lab.node.cutAfter = lab.node.deeds + cut;
    await lab.power('on');
    expect(await until('off', 'ready'), label).toBeDefined();
    if (lab.node.powered) await lab.power('cut');
  }
  lab.node.cutAfter = Number.POSITIVE_INFINITY;
  await lab.power('on');
  expect(await until('ready'), `${label}: not ready\n${lab.lines.join('\n')}`).toBeDefined();
  return lab;
}

/** A script that was reported to have ended well begins never again; all have begun, and services after stage 1. */
function checkScripts(lab: OneNode, label: string): void {
  const done = new Set<string>();
  const begun = new Set<string>();
  for (const line of lab.lines) {
    const begins = /^(\S+) begins$/.exec(line)?.[1];
    const reported = /step stage[12] \S+ script=(\S+)/.exec(line)?.[1];
    if (begins !== undefined) {
      expect(done, `${label}: ${begins} runs again\n${lab.lines.join('\n')}`).not.toContain(begins);
      begun.add(begins);
    }
    if (reported !== undefined) done.add(reported);
    if (line.includes('step services')) expect(begun, label).toContain('20-slow');
  }
  expect([...begun].sort(), label).toEqual(SCRIPTS.map(({ name }) => name));
}

/** How many things a node does from power-on to ready. */
async function deedsOf(scenario: Scenario): Promise<number> {
  return (await bootWithCuts(scenario, [])).node.deeds;
}

describe('one cut after each single thing', () => {
  it('of a double reboot: it gets ready, and no script runs again that had ended', async () => {
    const scenario = scenarioOf({ stops: STOPS });
    const deeds = await deedsOf(scenario);
    expect(deeds).toBeGreaterThan(100);
    for (let cut = 1; cut < deeds; cut++) {
      const lab = await bootWithCuts(scenario, [cut], cut);
      checkScripts(lab, `cut ${cut}`);
      expect(lab.rig.pointer(NODE), `cut ${cut}`).toMatchObject({
        image: 'alpha',
        phase: 'ready',
        fallback: 'alpha',
      });
    }
  }, 600_000);

  it('of a deployment whose image never gets up: the last good one comes back', async () => {
    const scenario = scenarioOf({ stops: STOPS, pointer: { image: 'broken', fallback: 'alpha' } });
    const deeds = await deedsOf(scenario);
    for (let cut = 1; cut < deeds; cut++) {
      const lab = await bootWithCuts(scenario, [cut], cut);
      checkScripts(lab, `cut ${cut}`);
      const loaded = lab.lines.filter((line) => line.startsWith('bootwright: firmware boot broken')).length;
      // One at most is lost to the cut: counted, not booted.
      expect(loaded, `cut ${cut}`).toBeGreaterThanOrEqual(2);
      expect(loaded, `cut ${cut}`).toBeLessThanOrEqual(3);
      expect(lab.rig.pointer(NODE), `cut ${cut}`).toMatchObject({
        image: 'broken',
        phase: 'deploy',
        attempts: 0,
      });
    }
  }, 600_000);
});

it('up to six cuts at random', async () => {
  const scenario = scenarioOf({ stops: STOPS, pointer: { fallback: 'beta' } });
  const deeds = await deedsOf(scenario);
  const ends = new Map<string, number>();
  for (let run = 1; run <= RUNS; run++) {
    const random = randomFrom(run);
    const cuts = Array.from({ length: 1 + Math.floor(random() * 6) }, () => 1 + Math.floor(random() * deeds));
    const lab = await bootWithCuts(scenario, cuts, run);
    checkScripts(lab, `seed ${run}, cuts ${cuts}`);
    const { phase = '', image = '' } = lab.rig.pointer(NODE) ?? {};
    expect(image).toBe('alpha');
    ends.set(phase, (ends.get(phase) ?? 0) + 1);
  }
  // After three boots that were cut short the firmware takes the fallback, which then finishes the deployment.
  console.log(
    `${RUNS} runs with up to six cuts: ${[...ends].map(([phase, count]) => `${count} ${phase}`).join(', ')}`,
  );
}, 600_000);
