/**
 * A node restarts amid traffic: the kernel's virtio_net may hang for good where a packet comes while devices are shut down, unless the
 * agent takes adapters down before. BOOTWRIGHT_RESTARTS: how often.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { endsWithTest } from '../support/ends-with-test.ts';

/** Besides the one that the first boot of a deployment ends with. Without the agent's care each hangs with a chance of a third or so. */
const ROUNDS = Number(process.env.BOOTWRIGHT_RESTARTS ?? 2);
const READY = 120_000;

let cluster: Cluster;
beforeAll(async () => {
  const userConfig = { secondReboot: false, scripts: [] };
  cluster = await Cluster.open({ rig: 'x86', nodes: ['n1'], images: ['alpha'], userConfig });
});
afterAll(() => cluster?.close());

it('comes back from every restart', { timeout: (ROUNDS + 1) * READY }, async () => {
  const node = cluster.nodes[0]!;
  // Each is answered: packets come and go.
  for (let i = 0; i < 3; i++)
    endsWithTest(cluster.lab.space.spawn(['ping', '-q', '-f', '-l', '8', '10.77.0.11']));
  await node.powerOn();
  let { detail } = await node.waitForStep('ready', { withinMs: READY });
  for (let round = 0; round < ROUNDS; round++) {
    expect(await cluster.verb('node', 'power', 'n1', 'reboot')).toMatchObject({ code: 0 });
    detail = (await node.waitForStep('ready', { withinMs: READY, boot: Number(detail?.boot) + 1 })).detail;
  }
});
