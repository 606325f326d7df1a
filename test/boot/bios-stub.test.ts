/** The BIOS stub on a whole node: flashed over its serial line, booted until it is ready, and back from a bad image. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runImager } from '../serial/pty-lines.ts';
import { Cluster } from '../support/cluster.ts';
import { bundle } from '../support/inside.ts';

const BOOTED = 240_000;

let cluster: Cluster;
let program: string;
beforeAll(async () => {
  program = await bundle('imager/cli/main.ts');
  cluster = await Cluster.open({
    rig: 'x86',
    machine: { firmware: 'bios-stub', serial: 'pty' },
    blank: true,
    nodes: ['n1'],
    images: ['alpha', 'broken'],
    // No such program in the initramfs: the kernel panics, and starts again at once.
    args: { broken: 'rdinit=/missing panic=-1' },
    userConfig: { secondReboot: false, scripts: [] },
  });
}, BOOTED);
afterAll(() => cluster?.close());

/** Flashes the node through its serial port, npm serialport at this end; it is switched on when it is waited for. */
async function flash(image: string, ...more: string[]): Promise<void> {
  const node = cluster.nodes[0]!;
  const where = ['--port', node.serialPort, '--wait', '60', '--imager', '10.77.0.1', '--cluster', 'test'];
  const what = ['--image', image, '--disk', 'n1-root', ...more];
  const ran = await runImager(program, cluster.dir, ['flash', ...where, ...what], (line) => {
    if (line.endsWith(': waiting for an answer')) void node.powerOn();
  });
  expect(ran, node.serial()).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('boot pointer written, read back and verified'),
  });
}

it(
  'flashed over the serial line and power-cycled, it boots what was flashed until it is ready',
  async () => {
    const node = cluster.nodes[0]!;
    await flash('alpha');
    expect(cluster.pointer(node)).toMatchObject({
      image: 'alpha',
      phase: 'deploy',
      attempts: 3,
      sequence: 1,
    });
    await node.cutPower();
    await node.powerOn();
    await node.waitForStep('ready', { withinMs: BOOTED });
    const steps = node.events().map(({ component, step }) => `${component} ${step}`);
    const boot = ['start', 'pointer', 'dhcp', 'load', 'boot'].map((step) => `firmware ${step}`);
    expect(steps.slice(steps.lastIndexOf('rig power-on') + 1)).toEqual(expect.arrayContaining(boot));
    expect(steps).not.toContain('firmware error');
    expect(cluster.pointer(node)).toMatchObject({ image: 'alpha', phase: 'ready', fallback: 'alpha' });
  },
  BOOTED,
);

it(
  'a bad image is given its attempts, then the last good one comes back, and the imager says why',
  async () => {
    const node = cluster.nodes[0]!;
    await node.cutPower();
    await flash('broken', '--reset');
    await node.waitForStep('ready', { withinMs: BOOTED });
    const booted = node
      .events()
      .filter(({ step, at }) => step === 'boot' && at > node.poweredOnAt)
      .map(({ detail }) => detail?.image);
    expect(booted.slice(0, 4)).toEqual(['broken', 'broken', 'broken', 'alpha']);
    expect(node.serial()).toMatch(
      /^bootwright: firmware error no attempts left for broken: fallback alpha$/m,
    );
    expect(cluster.pointer(node)).toMatchObject({ image: 'broken', phase: 'deploy', attempts: 0 });
    // How many the firmware was given it did not see: the technician did.
    const shown = await cluster.verb('node', 'show', 'n1');
    expect(shown.stdout).toContain(
      'the fallback image alpha, since broken was not ready after 3 attempts: its agent was never heard of',
    );
  },
  BOOTED,
);
