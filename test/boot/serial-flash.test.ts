/** A node of the rig with a serial cable: flashed by `imager serial` through npm serialport, power-cycled, up to `ready`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { type Ran, runOnNode } from '../serial/pty-lines.ts';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 240_000;
const within = { withinMs: BOOTED };

let cluster: Cluster;
let node: RigNode;
beforeAll(async () => {
  cluster = await Cluster.open({
    rig: 'arm64',
    nodes: ['n1'],
    images: ['alpha', 'beta', 'broken'],
    // No such program in the initramfs: the kernel panics, and starts again after a second.
    args: { broken: 'rdinit=/missing panic=1' },
    userConfig: { secondReboot: false, scripts: [] },
    machine: { serial: 'pty' },
  });
  node = cluster.nodes[0]!;
}, BOOTED);
afterAll(() => cluster?.close());

/** Flashes the node, which is switched on when the tool waits for it, and switches it off when the tool is done. */
async function flashed(image: string): Promise<Ran> {
  const program = projectFile('dist/imager/cli/main.js');
  const args = ['flash', '--image', image, '--disk', '{node}-root'];
  const ran = await runOnNode(program, node, cluster.dir, args);
  await node.cutPower();
  return ran;
}

const images = () =>
  node
    .events()
    .filter(({ component, step, at }) => component === 'firmware' && step === 'boot' && at > node.poweredOnAt)
    .map(({ detail }) => detail?.image);

it(
  'the node boots what was flashed',
  async () => {
    expect(await flashed('beta')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^boot pointer written, read back and verified\n.*image +alpha -> beta\n/s,
      ),
    });
    expect(cluster.pointer(node)).toMatchObject({
      image: 'beta',
      disks: ['n1-root'],
      phase: 'deploy',
      attempts: 3,
    });
    await node.powerOn();
    const ready = await node.waitForStep('ready', within);
    expect(ready.detail?.image).toBe('beta');
    expect(new Set(images())).toEqual(new Set(['beta']));
    expect(cluster.pointer(node)).toMatchObject({ image: 'beta', phase: 'ready', fallback: 'beta' });
    await node.cutPower();
  },
  BOOTED,
);

it(
  'an image that never gets up is given its attempts, then the last good one comes back, and the imager says why',
  async () => {
    expect(await flashed('broken')).toMatchObject({ code: 0 });
    await node.powerOn();
    await node.waitForStep('ready', within);
    expect(images().slice(0, 4)).toEqual(['broken', 'broken', 'broken', 'beta']);
    const pointer = { image: 'broken', phase: 'deploy', attempts: 0, fallback: 'beta' };
    expect(cluster.pointer(node)).toMatchObject(pointer);

    const why =
      'the fallback image beta, since broken was not ready after 3 attempts: its agent was never heard of';
    const shown = await cluster.verb('node', 'show', 'n1');
    expect(shown.stdout).toContain(why);
    const last = await cluster.verb('node', 'boots', 'n1', '--last', '1');
    expect(last.stdout.split('\n')[0]).toMatch(/ready after [\d.]+ s, with the fallback image beta/);
    expect(last.stdout).toContain(why);
    expect(last.stdout).toMatch(/agent +fallback \(no-attempts-left\) image=beta failed=broken attempts=3\n/);
  },
  BOOTED,
);
