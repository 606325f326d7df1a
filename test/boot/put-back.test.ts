/** A node whose plan gives its adapter an address that nobody answers: it is ready where its firmware had it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 240_000;
const SET_MAC = '02:00:00:77:00:50';

let cluster: Cluster;
beforeAll(async () => {
  if (process.env.BOOTWRIGHT_PUT_BACK === undefined) return;
  cluster = await Cluster.open({
    rig: 'x86',
    nodes: ['n1'],
    images: ['alpha'],
    adapters: { n1: [{ setMac: SET_MAC, address: '10.77.0.50/24' }] },
    userConfig: { secondReboot: false, scripts: [] },
  });
}, 300_000);
afterAll(() => cluster?.close());

/** In `make proofs`: it takes the 45 seconds that the agent waits. */
it.runIf(process.env.BOOTWRIGHT_PUT_BACK !== undefined)(
  'an address that nobody answers is put back while the disk is attached',
  async () => {
    const node = cluster.nodes[0]!;
    const { space } = cluster.lab;
    await space.check('nft add table inet closed'.split(' '));
    await space.check(['nft', 'add chain inet closed input { type filter hook input priority 0; }']);
    await space.check('nft add rule inet closed input ip saddr 10.77.0.50 drop'.split(' '));
    await node.powerOn();
    await node.waitForStep('ready', { withinMs: BOOTED });
    expect(node.serial()).toMatch(/step network-failed \S+ why=no imager answered for 45 s/);
    expect(await cluster.get('http://10.77.0.11/')).toContain('Bootwright node');
    const neighbour = await space.check(['ip', 'neighbour', 'show', '10.77.0.11']);
    expect(neighbour).toContain('52:54:00:77:00:11');
    expect(node.serial()).not.toMatch(/I\/O error/);
  },
  BOOTED,
);
