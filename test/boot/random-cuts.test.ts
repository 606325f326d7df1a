/**
 * Power cut at random moments of flash and boot, on real firmware. BOOTWRIGHT_CUT_ROUNDS: how often for each rig, 3 where it is
 * not set (`make proofs`: 100); BOOTWRIGHT_CUT_READY_ROUNDS: how often up to `ready`, through the whole double reboot;
 * BOOTWRIGHT_CUT_SCRIPT_ROUNDS: how often with scripts, whose effects are counted (`make proofs`: 25 on each of two rigs).
 * BOOTWRIGHT_CUT_SEED: the moments of an earlier run.
 */
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import type { Rig } from '../../firmware-stubs/rig/qemu.ts';
import { openBootLab } from '../firmware/boot-lab.ts';
import { Cluster, type ClusterOptions } from '../support/cluster.ts';
import { cutAtRandom } from '../support/cuts.ts';
import { CUT_SCRIPTS, cutDeployments } from '../support/deployment-cuts.ts';

const { env } = process;
const ROUNDS = Number(env.BOOTWRIGHT_CUT_ROUNDS ?? 3);
const READY_ROUNDS = Number(env.BOOTWRIGHT_CUT_READY_ROUNDS ?? 0);
const SCRIPT_ROUNDS = Number(env.BOOTWRIGHT_CUT_SCRIPT_ROUNDS ?? 0);
const SEED = Number(env.BOOTWRIGHT_CUT_SEED ?? Math.floor(Math.random() * 2 ** 32));
const BOOTED = { withinMs: 240_000 };
const tell = (line: string) => process.stdout.write(`${line}\n`);
const target = (image: string) => ({
  ...{ image, disks: ['n1-root'], imagers: ['10.77.0.1'], cluster: 'test' },
});

type Machine = NonNullable<ClusterOptions['machine']>;

/** Firmware that listens on its serial line: rig, and what else its nodes have. Those after the first are for `make proofs` alone. */
const RIGS: [name: string, rig: Rig, more: Machine][] = [['U-Boot, arm64', 'arm64', {}]];
if (env.BOOTWRIGHT_CUT_ROUNDS !== undefined)
  RIGS.push(['UEFI stub', 'x86', { firmware: 'uefi-stub' }], ['BIOS stub', 'x86', { firmware: 'bios-stub' }]);

it.each(RIGS)(
  '%s: the kernel of the old or of the new image begins',
  async (_name, rig, more) => {
    const boot = await openBootLab(rig, { ...more, serial: 'pty' });
    try {
      for (const image of ['one', 'two']) await symlink('linux', join(boot.dir, 'boot/images', image));
      /** The image in the arguments of the kernel that runs. */
      const cameUp = async (node: RigNode) => {
        const { text } = await node.waitForLine(/^given cmdline=/, BOOTED);
        return /bootwright\.image=(\S+)/.exec(text)?.[1] ?? '';
      };
      const { node } = boot;
      const cuts = { node, target, images: ['one', 'two'] as const, cameUp, tell };
      const counts = await cutAtRandom({ ...cuts, seed: SEED, rounds: ROUNDS });
      expect(counts.old + counts.new).toBe(ROUNDS);
    } finally {
      await boot.close();
    }
  },
  120_000 + ROUNDS * 60_000,
);

it.each(READY_ROUNDS > 0 ? RIGS : [])(
  '%s: ready with the old or with the new image',
  async (_name, rig, more) => {
    const images = ['alpha', 'beta'] as const;
    const userConfig = { secondReboot: true, scripts: [] };
    const machine = { ...more, serial: 'pty' as const };
    const cluster = await Cluster.open({ rig, nodes: ['n1'], images: [...images], userConfig, machine });
    try {
      const cameUp = async (node: RigNode) => {
        const ready = await node.waitForStep('ready', BOOTED);
        return String(ready.detail?.image);
      };
      const cuts = { node: cluster.nodes[0]!, target, images, cameUp, tell };
      const counts = await cutAtRandom({ ...cuts, seed: SEED, rounds: READY_ROUNDS });
      expect(counts.old + counts.new).toBe(READY_ROUNDS);
    } finally {
      await cluster.close();
    }
  },
  300_000 + READY_ROUNDS * 300_000,
);

it.each(SCRIPT_ROUNDS > 0 ? (['arm64', 'x86'] as const) : [])(
  'U-Boot or iPXE, %s: ready, and each script as often as it must',
  async (rig) => {
    const images = ['alpha', 'beta'] as const;
    const userConfig = { secondReboot: true, scripts: CUT_SCRIPTS };
    const cluster = await Cluster.open({ rig, nodes: ['n1'], images: [...images], userConfig });
    try {
      await cutDeployments({ cluster, images, seed: SEED, rounds: SCRIPT_ROUNDS, tell });
    } finally {
      await cluster.close();
    }
  },
  300_000 + SCRIPT_ROUNDS * 300_000,
);
