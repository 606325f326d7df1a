/** The UEFI stub on a whole node: flashed over its serial line, booted until it is ready, and back from a bad image. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stockFor } from '../../firmware-stubs/rig/scenario/stock.ts';
import { writeCpio } from '../../imager/images/cpio.ts';
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
    machine: { firmware: 'uefi-stub', serial: 'pty' },
    blank: true,
    nodes: ['n1'],
    images: ['alpha'],
    userConfig: { secondReboot: false, scripts: [] },
  });
  // The beginning of a kernel, without the two letters that make it a UEFI program.
  const { arch, kernel, args } = await stockFor('x86');
  const [broken, initrd] = ['broken-kernel', 'broken-initrd'].map((name) => join(cluster.dir, name));
  writeFileSync(broken!, readFileSync(kernel).subarray(0, 65_536).fill(0, 0, 2));
  writeFileSync(initrd!, writeCpio([]));
  const files = ['--arch', arch, '--kernel', broken!, '--initrd', initrd!, '--args', args];
  await cluster.json('image', 'add', 'broken', ...files);
});
afterAll(() => cluster?.close());

it(
  'flashed over the serial line and power-cycled, it boots what was flashed until it is ready',
  () => bootsWhatWasFlashed(cluster, program, BOOTED),
  BOOTED,
);

it(
  'a bad image is given its attempts, then the last good one is booted',
  async () => {
    const node = cluster.nodes[0]!;
    await flash(cluster, program, 'broken', '--reset');
    // Its imager has heard of it by then; the first boot of a deployment ends with a reboot.
    await node.waitForStep('plan', { withinMs: BOOTED });
    const since = node.events().filter(({ at }) => at > node.poweredOnAt);
    const booted = since.filter(({ step }) => step === 'boot').map(({ detail }) => detail?.image);
    expect(booted).toEqual(['broken', 'broken', 'broken', 'alpha']);
    expect(since.flatMap(({ step, reason }) => (step === 'error' ? [reason] : []))).toEqual([
      ...Array.from({ length: 3 }, () => expect.stringContaining('the kernel is no UEFI program')),
      'no attempts left for broken: fallback alpha',
    ]);
    const shown = await cluster.verb('node', 'show', 'n1');
    expect(shown.stdout).toContain(
      'the fallback image alpha, since broken was not ready after 3 attempts: its agent was never heard of',
    );
    await node.cutPower();
    expect(cluster.pointer(node)).toMatchObject({ image: 'broken', phase: 'deploy', attempts: 0 });
  },
  BOOTED,
);
