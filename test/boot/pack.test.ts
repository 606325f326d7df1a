/** What one node's boot reads is packed, and the next node asks the imager for a tenth of it or less. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import type { BootReads } from '../../imager/model/views.ts';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 240_000;
const within = { withinMs: BOOTED };

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.open({
    rig: 'x86',
    nodes: ['n1', 'n2'],
    images: ['alpha'],
    userConfig: { secondReboot: false, scripts: [] },
  });
}, BOOTED);
afterAll(() => cluster?.close());

it(
  'a node boots from the pack of what another one read, then has its disk from the imager alone',
  async () => {
    const [first, second] = cluster.nodes as [RigNode, RigNode];
    await first.powerOn();
    await first.waitForStep('ready', within);
    // Made in the background: made again here, so that it is there.
    const packed = await cluster.json<BootReads>('disk', 'pack', 'web');
    expect(packed).toMatchObject({ current: true });
    await first.cutPower();

    await second.powerOn();
    await second.waitForStep('ready', within);
    expect(second.serial()).toContain(`bootwright: disk n2-root: a pack of ${packed.pack} bytes`);
    const line = /booted, (\d+) reads from its pack, (\d+) from the imager/;
    await second.waitForLine(line, within);
    const [, fromPack, fromImager] = line.exec(second.serial())!.map(Number);
    // The request for the pack is one more round trip; a server alone has one for each read.
    expect(fromImager! + 1).toBeLessThanOrEqual((fromPack! + fromImager!) / 10);

    // The relay has left: the kernel was given a connection of its own, and the disk is there as before.
    await second.waitForLine(/disk n2-root: attached$/, within);
    expect(await cluster.get('http://10.77.0.12/')).toContain('<');
    const events = await cluster.imagerEvents('n2');
    expect(events.filter(({ step }) => step === 'detach').at(-1)).not.toHaveProperty('reason');
  },
  2 * BOOTED,
);
