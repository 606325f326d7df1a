/** A node that no imager answers: it goes on, keeps what it has to report over reboots, and tells it complete and in order. */
import { expect, it } from 'vitest';
import { NODE, OneNode, scenarioOf } from './one-node.ts';

const HOUR = 3600;
const never = () => false;

/** Steps of the imager's record of each boot; fails where one is twice or out of order. */
function told(lab: OneNode): string[][] {
  return lab.rig.imager.boots(NODE).map(({ steps }) => {
    // What scripts left has numbers of its own among them.
    const numbers = steps.map(({ seq }) => seq);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    return steps.map(({ step }) => step);
  });
}

it('boots without a word of the imager, twice, works for an hour, and tells all of it', async () => {
  const lab = new OneNode(scenarioOf({}));
  await lab.power('on');
  // From the first reboot on no packet of the agent's comes through; its image and its disk still do.
  await lab.untilStep('reboot');
  await lab.rig.perform({ kind: 'network', node: NODE, network: 'drop', traffic: 'agent' });
  expect(await lab.untilStep('ready')).toBeDefined();
  await lab.until(never, HOUR);
  expect(told(lab)).toHaveLength(1);
  await lab.rig.perform({ kind: 'network', node: NODE, network: 'heal' });
  await lab.until(never, 90);
  const [first, second, third] = told(lab);
  expect(first?.slice(-1)).toEqual(['reboot']);
  expect(second).toEqual(['pointer', 'mounted', 'stage1', 'stage1', 'reboot']);
  expect(third).toEqual(['pointer', 'mounted', 'services', 'stage2', 'ready', 'detached']);
  const detached = lab.rig.imager.boots(NODE).at(-1)!.steps.at(-1)!;
  expect(detached.detail.seconds).toBeGreaterThan(HOUR - 5);
  expect(detached.detail).not.toHaveProperty('dropped');
  expect(lab.rig.imager.liveness(NODE)).toMatchObject({
    state: 'alive',
    adapters: [{ name: 'eth0', state: 'up' }],
  });
  expect(lab.lines.filter((line) => line.includes('goes on by itself')).length).toBe(2);
});

it('an imager that is away for an hour, disk and all: the node is there again within a minute, and has told all', async () => {
  const lab = new OneNode(scenarioOf({}));
  await lab.power('on');
  await lab.untilStep('ready');
  await lab.until(never, 60);
  await lab.rig.perform({ kind: 'imager', imager: 'kill' });
  await lab.until(never, HOUR);
  await lab.rig.perform({ kind: 'imager', imager: 'start' });
  await lab.until(never, 60);
  // A simulated machine whose root is away stands still, so it has nothing to say of the hour.
  expect(told(lab).at(-1)).toEqual(['pointer', 'mounted', 'services', 'stage2', 'ready']);
  expect(lab.rig.imager.liveness(NODE).state).toBe('alive');
  expect(lab.steps.filter((step) => step === 'start')).toHaveLength(3);
});
