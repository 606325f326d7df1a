/** What one node's boot reads is packed; the next node waits for the network a tenth as often as one with nbdkit, or less. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { BOOTED, bootForPack, bootFromNbdkit, bootFromPack } from '../support/boot-reads.ts';
import { Cluster } from '../support/cluster.ts';
import { countReads, NBDKIT } from '../support/nbdkit-disk.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.open({
    rig: 'arm64',
    nodes: ['n1', 'n2', 'n3'],
    images: ['alpha'],
    before: { n3: [NBDKIT] },
    userConfig: { secondReboot: false, scripts: [] },
  });
});
afterAll(() => cluster?.close());

it(
  'a node boots from the pack of what another one read, then has its disk from the imager alone',
  async () => {
    const [first, second, third] = cluster.nodes as [RigNode, RigNode, RigNode];
    const pack = await bootForPack(cluster, first);
    const { fromPack, roundTrips } = await bootFromPack(second);
    expect(second.serial()).toContain(`bootwright: disk n2-root: a pack of ${pack} bytes`);
    expect(fromPack, second.serial()).toBeGreaterThan(9 * roundTrips);

    // The relay has left: the kernel was given a connection of its own, and the disk is there as before.
    await second.waitForLine(/disk n2-root: attached$/, { withinMs: BOOTED });
    expect(await cluster.get('http://10.77.0.12/')).toContain('<');
    const events = await cluster.imagerEvents('n2');
    expect(events.filter(({ step }) => step === 'detach').at(-1)).not.toHaveProperty('reason');
    await second.cutPower();

    const beside = await bootFromNbdkit(cluster, third);
    expect(third.serial()).not.toContain('reads from its pack');
    expect(roundTrips).toBeLessThanOrEqual(beside.roundTrips / 10);
  },
  3 * BOOTED,
);

it('reads that wait together are one round trip', () => {
  const line = (text: string): string => `2026-01-01 00:00:00.000000 connection=${text}\n`;
  const asked = (id: number): string => line(`2 Read id=${id} offset=0x0 count=0x1000 ...`);
  const answered = (id: number): string => line(`2 ...Read id=${id} return=0`);
  const before = line('1 Read id=1 offset=0x0 count=0x1000 ...') + line('1 ...Read id=1 return=0');
  const log = before + asked(1) + asked(2) + answered(2) + asked(3) + answered(1) + answered(3) + asked(4);
  expect(countReads(log)).toEqual({ reads: 4, roundTrips: 3 });
  expect(countReads('')).toEqual({ reads: 0, roundTrips: 0 });
});
