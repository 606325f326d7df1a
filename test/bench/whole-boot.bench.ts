/** The boot of a node under QEMU, from power-on until it is ready: how often it waits for its disk, beside nbdkit. */
import { bootForPack, bootFromNbdkit, bootFromPack } from '../support/boot-reads.ts';
import { Cluster } from '../support/cluster.ts';
import { NBDKIT } from '../support/nbdkit-disk.ts';
import type { BenchRow } from './row.ts';

/** Takes about two minutes. */
export async function run(): Promise<BenchRow[]> {
  const cluster = await Cluster.open({
    rig: 'x86',
    nodes: ['n1', 'n2', 'n3'],
    images: ['alpha'],
    before: { n3: [NBDKIT] },
    userConfig: { secondReboot: false, scripts: [] },
  });
  try {
    const [first, second, third] = cluster.nodes;
    await bootForPack(cluster, first!);
    const { roundTrips: ours } = await bootFromPack(second!);
    await second!.cutPower();
    const { roundTrips: peer } = await bootFromNbdkit(cluster, third!);
    const name = 'whole boot of a node until ready, round trips for reads of its disk';
    return [{ name, ours, peer, peerName: 'nbdkit file, cow', unit: 'round trips', ratio: peer / ours }];
  } finally {
    await cluster.close();
  }
}
