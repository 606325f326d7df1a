/** How often the boot of a whole node waits for its disk: from its pack, and from nbdkit. */
import { setTimeout } from 'node:timers/promises';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import type { BootReads } from '../../imager/model/views.ts';
import type { Cluster } from './cluster.ts';
import { NbdkitDisk } from './nbdkit-disk.ts';

/** Time for one boot. */
export const BOOTED = 240_000;
const within = { withinMs: BOOTED };
/** Between two questions to the imager, which are asked over HTTP. */
const ASK_AGAIN_MS = 100;

/** Boots a node, so that there is a pack of what it read, and switches it off. Gives the pack's bytes. */
export async function bootForPack(cluster: Cluster, node: RigNode): Promise<number> {
  await node.powerOn();
  await node.waitForStep('ready', within);
  // What the console says the imager hears a moment later: until then this boot's reads are not known.
  const late = Date.now() + BOOTED;
  while (!(await cluster.imagerEvents(node.name)).some(({ step }) => step === 'ready')) {
    if (Date.now() > late) throw new Error(`the imager never heard that ${node.name} is ready`);
    await setTimeout(ASK_AGAIN_MS);
  }
  // Made in the background: made again here, so that it is there.
  const { pack, current } = await cluster.json<BootReads>('disk', 'pack', 'web');
  if (pack === null || !current) throw new Error('no pack of the boot');
  await node.cutPower();
  return pack;
}

/** Boots a node from the pack: reads that its last boot had from it, and round trips to the imager until the relay left. */
export async function bootFromPack(node: RigNode): Promise<{ fromPack: number; roundTrips: number }> {
  await node.powerOn();
  const { detail } = await node.waitForStep('ready', within);
  const line = /booted, (\d+) reads from its pack, (\d+) from the imager/;
  // Where the boot before it took long, the relay left that one, too.
  const { text } = await node.waitForLine(line, { ...within, boot: Number(detail!.boot) });
  const [, fromPack, fromImager] = line.exec(text)!.map(Number);
  // The request for the pack is one more.
  return { fromPack: fromPack!, roundTrips: fromImager! + 1 };
}

/**
 * Boots a node, whose pointer names NBDKIT first, from nbdkit: the reads of its last boot, and round trips for them, until
 * it was ready.
 */
export async function bootFromNbdkit(
  cluster: Cluster,
  node: RigNode,
): Promise<{ reads: number; roundTrips: number }> {
  const disk = await NbdkitDisk.start(cluster);
  await node.powerOn();
  await node.waitForStep('ready', within);
  const counts = disk.counts();
  await node.cutPower();
  await disk.end();
  return counts;
}
