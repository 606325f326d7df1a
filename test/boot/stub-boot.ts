/** What the stubs that listen on a serial line have in common on a whole node: how they are flashed, and the boot that follows. */
import { expect } from 'vitest';
import { runOnNode } from '../serial/pty-lines.ts';
import type { Cluster } from '../support/cluster.ts';

/** Flashes the cluster's node through its serial port, npm serialport at this end. */
export async function flash(
  cluster: Cluster,
  program: string,
  image: string,
  ...more: string[]
): Promise<void> {
  const node = cluster.nodes[0]!;
  const where = ['--imager', '10.77.0.1', '--cluster', 'test'];
  const what = ['--image', image, '--disk', 'n1-root', ...more];
  const ran = await runOnNode(program, node, cluster.dir, ['flash', ...where, ...what]);
  expect(ran, node.serial()).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('boot pointer written, read back and verified'),
  });
}

/** Flashed with alpha over the serial line and power-cycled, the node boots it until it is ready. It is left switched off. */
export async function bootsWhatWasFlashed(
  cluster: Cluster,
  program: string,
  withinMs: number,
): Promise<void> {
  const node = cluster.nodes[0]!;
  await flash(cluster, program, 'alpha');
  await node.cutPower();
  expect(cluster.pointer(node)).toMatchObject({
    image: 'alpha',
    phase: 'deploy',
    attempts: 3,
    sequence: 1,
  });
  await node.powerOn();
  await node.waitForStep('ready', { withinMs });
  const steps = node.events().map(({ component, step }) => `${component} ${step}`);
  const boot = ['start', 'pointer', 'dhcp', 'load', 'boot'].map((step) => `firmware ${step}`);
  expect(steps.slice(steps.lastIndexOf('rig power-on') + 1)).toEqual(expect.arrayContaining(boot));
  expect(steps).not.toContain('firmware error');
  await node.cutPower();
  expect(cluster.pointer(node)).toMatchObject({ image: 'alpha', phase: 'ready', fallback: 'alpha' });
}
