/**
 * A node whose chip has no room for its definition keeps it on its root disk: the agent itself, its power cut after each of the
 * things that it does. BOOTWRIGHT_DISK_CUT_STRIDE: every how manyth of them is tried; 1: all.
 */
import { expect, it } from 'vitest';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { NODE, OneNode, type OneNodeOptions, scenarioOf } from './one-node.ts';

const STRIDE = Number(process.env.BOOTWRIGHT_DISK_CUT_STRIDE ?? 7);
const [DISK, NEXT] = ['n1-root', 'n1-next'];
const never = () => false;

/** Boards keep other things in their chips, too: that is left alone. */
async function withoutRoom(options: OneNodeOptions = {}, seed = 1): Promise<OneNode> {
  const lab = new OneNode(scenarioOf(options), seed);
  const bytes = new TextEncoder().encode('serial number 4711');
  await lab.rig.perform({ kind: 'write', node: NODE, offset: ubootEnv.size, bytes });
  return lab;
}

async function ready(lab: OneNode): Promise<void> {
  await lab.power('on');
  expect(await lab.untilStep('ready'), lab.lines.join('\n')).toBeDefined();
}

it('is defined in its first boot, and known by its key from the second on', async () => {
  const lab = await withoutRoom();
  await ready(lab);
  const made = await lab.rig.imager.definition(NODE);
  expect(made).toMatchObject({ state: 'defined', disk: DISK, number: 1 });
  // Each of the three has said hello with what the disk has: a node that is defined is not taken in without its key.
  expect(lab.rig.imager.boots(NODE).map(({ steps }) => steps[0]?.step)).toEqual(Array(3).fill('pointer'));
  expect(lab.lines.filter((line) => line.includes('the key is on the disk: /dev/vda holds'))).toHaveLength(3);
  expect(await lab.rig.imager.definition(NODE)).toEqual(made);
});

it('its power cut at any moment, it is defined in the end, and both sides have the same', async () => {
  const whole = await withoutRoom();
  await ready(whole);
  const { deeds } = whole.node;
  let [before, after] = [0, 0];
  for (let cut = 1; cut < deeds; cut += STRIDE) {
    const lab = await withoutRoom({}, cut);
    lab.node.cutAfter = cut;
    await lab.power('on');
    await lab.untilStep('off');
    const was = await lab.rig.imager.definition(NODE);
    lab.node.cutAfter = Number.POSITIVE_INFINITY;
    await ready(lab);
    const is = await lab.rig.imager.definition(NODE);
    expect([cut, is]).toMatchObject([cut, { state: 'defined', disk: DISK }]);
    // What it was told, or has said that it has, it did not lose.
    if (was?.state === 'defined') expect([cut, is!.id]).toEqual([cut, was.id]);
    if (was?.state === 'defined') after++;
    else before++;
    await lab.power('cut');
    await ready(lab);
    expect([cut, await lab.rig.imager.definition(NODE)]).toEqual([cut, is]);
  }
  expect(Math.min(before, after)).toBeGreaterThan(5);
}, 600_000);

it('flashed to another disk by its imager it is defined anew there; by somebody else it is not', async () => {
  const lab = await withoutRoom({ pointer: { disks: [DISK, NEXT] } });
  await ready(lab);
  const first = await lab.rig.imager.definition(NODE);
  await lab.power('cut');
  await lab.rig.perform({ kind: 'flash', node: NODE, image: 'alpha', disks: [NEXT] });
  await lab.power('on');
  // It waits for a plan, which needs a welcome.
  await lab.until(never, 60);
  expect(lab.lines.join('\n')).toContain('it is not taken in');
  expect(lab.rig.imager.refused.join('\n')).toContain('does not have its key');
  expect(await lab.rig.imager.definition(NODE)).toEqual(first);
  await lab.power('cut');
  await lab.rig.perform({ kind: 'flash', node: NODE, image: 'alpha', disks: [DISK, NEXT] });
  await ready(lab);
  await lab.rig.perform({ kind: 'flash', node: NODE, image: 'beta', disks: [NEXT] });
  await lab.power('cut');
  await ready(lab);
  const second = await lab.rig.imager.definition(NODE);
  expect(second).toMatchObject({ state: 'defined', disk: NEXT, number: first!.number });
  expect(second!.id).not.toBe(first!.id);
  // Back on the former disk it is told that what it finds there was deleted, and defined once more.
  await lab.rig.perform({ kind: 'flash', node: NODE, image: 'alpha', disks: [DISK] });
  await lab.power('cut');
  await ready(lab);
  expect(lab.lines.join('\n')).toContain('its copy is erased');
  expect(await lab.rig.imager.definition(NODE)).toMatchObject({ state: 'defined', disk: DISK });
});

it('that cannot mount its disk says so as who it can: before it was defined it is flashed, later refused', async () => {
  const lab = await withoutRoom();
  const flash = (disk: string) =>
    lab.rig.perform({ kind: 'flash', node: NODE, image: 'alpha', disks: [disk] });
  await flash('none');
  await lab.power('on');
  await lab.until(never, 300);
  expect(lab.rig.imager.boots(NODE).at(-1)?.steps.at(-1)).toMatchObject({ step: 'failed' });
  expect(await lab.rig.imager.definition(NODE)).toMatchObject({ state: 'defined', key: null });
  await flash(DISK);
  await lab.power('cut');
  await ready(lab);
  const made = await lab.rig.imager.definition(NODE);
  expect(made).toMatchObject({ state: 'defined', disk: DISK, key: expect.any(Uint8Array) });
  await lab.power('cut');
  await flash('none');
  const told = lab.rig.imager.boots(NODE).length;
  await lab.power('on');
  await lab.until(never, 300);
  expect(lab.rig.imager.refused.join('\n')).toContain(
    `is defined with a key on its disk ${DISK}, which it could not mount`,
  );
  expect(lab.rig.imager.boots(NODE)).toHaveLength(told);
  expect(await lab.rig.imager.definition(NODE)).toEqual(made);
});
