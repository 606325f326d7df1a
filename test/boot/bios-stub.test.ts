/** The BIOS stub on a whole node: flashed over its serial line, booted until it is ready, and back from a bad image. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { bundle } from '../support/inside.ts';
import { bootsWhatWasFlashed, flash } from './stub-boot.ts';

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
});
afterAll(() => cluster?.close());

it(
  'flashed over the serial line and power-cycled, it boots what was flashed until it is ready',
  () => bootsWhatWasFlashed(cluster, program, BOOTED),
  BOOTED,
);

it(
  'a bad image is given its attempts, then the last good one comes back, and the imager says why',
  async () => {
    const node = cluster.nodes[0]!;
    await flash(cluster, program, 'broken', '--reset');
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
    const why =
      'the fallback image alpha, since broken was not ready after 3 attempts: its agent was never heard of';
    const shown = await cluster.verb('node', 'show', 'n1');
    expect(shown.stdout).toContain(why);
    const last = await cluster.verb('node', 'boots', 'n1', '--last', '1');
    expect(last.stdout.split('\n')[0]).toMatch(/ready after [\d.]+ s, with the fallback image alpha/);
    expect(last.stdout).toContain(why);
    expect(last.stdout).toMatch(
      /agent +fallback \(no-attempts-left\) image=alpha failed=broken attempts=3\n/,
    );
  },
  BOOTED,
);
