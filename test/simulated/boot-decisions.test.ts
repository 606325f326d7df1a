/** The simulated node over all cases of decide.ts: the same bytes in, the same lines and the same bytes out. */
import { describe, expect, it } from 'vitest';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { consoleLines, decide, storeAfter } from '../../firmware-stubs/simulated/decide.ts';
import { decisionCases, storeOf } from '../firmware/decisions.ts';
import { NODE, OneNode, scenarioOf } from './one-node.ts';

/** Lines that are not of the decision: what the network does, and that an imager of the list is nowhere. */
const OTHERS = /firmware (?:start|dhcp .*|boot .*|error no image \S+ from .*)$/;

async function booted(store: Uint8Array): Promise<OneNode> {
  const lab = new OneNode(scenarioOf({}));
  lab.node.chip.bytes.set(store);
  await lab.power('on');
  await lab.until(
    (event) => event.kind === 'step' && (event.step === 'boot' || /boot pointer/.test(event.reason ?? '')),
  );
  return lab;
}

describe('layout uboot-env', () => {
  it.each(decisionCases(ubootEnv))('$name', async (given) => {
    const store = storeOf(ubootEnv, given);
    const decision = decide(ubootEnv, store);
    const lab = await booted(store);
    expect(lab.lines.filter((line) => !OTHERS.test(line))).toEqual(consoleLines(decision));
    expect(lab.node.chip.bytes.subarray(0, store.length)).toEqual(storeAfter(store, decision));
    if ('error' in decision) expect(lab.lines).not.toContainEqual(expect.stringContaining('firmware boot'));
    else expect(lab.lines.at(-1)).toBe(`bootwright: firmware boot ${decision.image}`);
  });
});

it('an imager that is away costs no attempt, however often the firmware starts', async () => {
  const lab = new OneNode(scenarioOf({}));
  await lab.rig.perform({ kind: 'imager', imager: 'kill' });
  await lab.power('on');
  for (let starts = 0; starts < 5; starts++) expect(await lab.untilStep('start')).toBeDefined();
  expect(lab.lines).toContain('bootwright: firmware error no DHCP lease');
  expect(lab.rig.pointer(NODE)).toMatchObject({ sequence: 1, attempts: 3 });
  await lab.rig.perform({ kind: 'imager', imager: 'start' });
  expect(await lab.untilStep('ready')).toBeDefined();
});

it('firmware that cannot write counts nothing, and tries what the pointer names for ever', async () => {
  const lab = new OneNode(scenarioOf({ rig: 'x86', pointer: { image: 'broken', fallback: 'alpha' } }));
  await lab.power('on');
  for (let boots = 0; boots < 5; boots++)
    expect(await lab.untilStep('boot')).toMatchObject({ detail: { image: 'broken' } });
  expect(lab.rig.pointer(NODE)).toMatchObject({ sequence: 1, attempts: 3 });
});
