/** A node of the rig with a serial cable: flashed by `imager serial` through npm serialport, power-cycled, up to `ready`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { runOnNode } from '../serial/pty-lines.ts';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 240_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.open({
    rig: 'arm64',
    nodes: ['n1'],
    images: ['alpha', 'beta'],
    userConfig: { secondReboot: false, scripts: [] },
    machine: { serial: 'pty' },
  });
});
afterAll(() => cluster?.close());

it(
  'the node boots what was flashed',
  async () => {
    const node = cluster.nodes[0]!;
    const program = projectFile('dist/imager/cli/main.js');
    // Switched on when the tool waits for it.
    const args = ['flash', '--image', 'beta', '--disk', '{node}-root'];
    expect(await runOnNode(program, node, cluster.dir, args)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^boot pointer written, read back and verified\n.*image +alpha -> beta\n/s,
      ),
    });
    await node.cutPower();
    expect(cluster.pointer(node)).toMatchObject({
      image: 'beta',
      disks: ['n1-root'],
      phase: 'deploy',
      attempts: 3,
    });
    await node.powerOn();
    const ready = await node.waitForStep('ready', { withinMs: BOOTED });
    expect(ready.detail?.image).toBe('beta');
    expect(cluster.pointer(node)).toMatchObject({ image: 'beta', phase: 'ready', fallback: 'beta' });
  },
  BOOTED,
);
