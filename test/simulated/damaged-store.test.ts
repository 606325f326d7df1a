/** A node whose local store was damaged in both slots: whose node it is nobody knows, so it boots for nobody. */
import { expect, it } from 'vitest';
import { DEVICE_SIZE } from '../../agent/linux/eeprom.ts';
import { localSlotSize } from '../../agent/protocol/local-slots.ts';
import { NODE, OneNode, scenarioOf } from './one-node.ts';

const never = () => false;

it.each([
  ['its disk has a plan', 'as it was'],
  ['its disk has none', 'another'],
])('stays up, says why on its console, and does not enrol: %s', async (_, deployment) => {
  const lab = new OneNode(scenarioOf({}));
  await lab.power('on');
  expect(await lab.untilStep('ready')).toBeDefined();
  await lab.power('cut');
  const { chip, layout } = lab.node;
  const slot = localSlotSize(DEVICE_SIZE - layout.size)!;
  // The last byte of each checksum.
  for (const at of [layout.size, layout.size + slot]) chip.bytes[at + 7]! ^= 0xff;
  const pointers = lab.node.pointers();
  const { pointer } = pointers.read();
  if (deployment === 'another') pointers.write({ ...pointer!, deployment });
  const before = lab.rig.imager.boots(NODE).length;
  lab.events.length = 0;
  await lab.power('on');
  await lab.until(never, 600);
  expect(lab.steps.filter((step) => ['agent', 'failed', 'mounted', 'reboot'].includes(step))).toEqual([
    'agent',
    'failed',
  ]);
  const said = lab.lines.join('\n');
  expect(said).toMatch(
    /^bootwright: the local store in \/dev\/vda is damaged: slot 0 is torn: .*; `agent local erase --all` forgets everything/m,
  );
  expect(said).not.toMatch(/imager .* damaged/);
  expect(said).toMatch(/step failed .*why=mount: the local store in \/dev\/vda is damaged/);
  expect(lab.rig.imager.boots(NODE)).toHaveLength(before);
});
