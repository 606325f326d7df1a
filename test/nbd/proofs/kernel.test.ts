/**
 * Linux's own NBD client, attached by the agent's keeper, and QEMU's: ext4 and xfs under a load of file operations, while
 * the imager is killed and started again. No file system sees an error, and every file holds what it must.
 *
 * BOOTWRIGHT_KERNEL_KILLS: how often it is killed, 2 where it is not set.
 */
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Lab } from '../../../firmware-stubs/rig/lab.ts';
import { projectFile } from '../../../firmware-stubs/rig/project.ts';
import { Disks } from '../../../imager/disks/catalog.ts';
import { Guest } from './guest.ts';

const KILLS = Number(process.env.BOOTWRIGHT_KERNEL_KILLS ?? 2);
const MAKERS = {
  ext4: ['mkfs.ext4', '-q', '-F', '-b', '4096'],
  // Smaller ones it does not make any more.
  xfs: ['mkfs.xfs', '-q', '-f', '-s', 'size=4096', '-d', 'agcount=2'],
};
const CHECKERS = { ext4: ['e2fsck', '-fn'], qemu: ['e2fsck', '-fn'], xfs: ['xfs_repair', '-n'] };
const SIZES = { ext4: 64, xfs: 320 };
const CONFIG = `
state: ./state
cluster: test
network: { address: 10.77.0.1, prefix: 24 }
nodes:
  - { name: n1, mac: "52:54:00:77:00:11", uid: 6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601, address: 10.77.0.11 }
`;

test('ext4 and xfs under load on a kernel whose imager is killed', {
  timeout: 240_000 + KILLS * 60_000,
}, async () => {
  mkdirSync(projectFile('build/test'), { recursive: true });
  const dir = mkdtempSync(projectFile('build/test/nbd-kernel-'));
  writeFileSync(join(dir, 'imager.yaml'), CONFIG);
  const lab = await Lab.open({ dir });
  try {
    const disks = await Disks.open({ dir: join(dir, 'state'), log: pino({ level: 'silent' }) });
    for (const type of ['ext4', 'xfs'] as const) {
      const image = join(dir, `${type}.img`);
      writeFileSync(image, '');
      truncateSync(image, SIZES[type] * 2 ** 20);
      await lab.space.check([...MAKERS[type], image]);
      await disks.addBase(type, image);
      await disks.create(type, type);
    }
    await disks.create('qemu', 'ext4');
    await disks.close();
    const config = join(dir, 'imager.yaml');
    let imager = await lab.startImager({ config });
    const guest = await Guest.start(
      lab,
      join(import.meta.dirname, 'guest.sh'),
      `rounds=${KILLS + 1}`,
      'qemu',
    );
    for (let kill = 1; kill <= KILLS; kill++) {
      await guest.console.said(new RegExp(`round ${kill} ${kill % 2 === 0 ? 'half of /xfs' : 'begins'}`));
      await imager.kill();
      imager = await lab.startImager({ config });
      await guest.console.said(new RegExp(`round ${kill} ends`));
    }
    await guest.console.said(/guest ends/);
    await guest.console.ended;
    const { text } = guest.console;
    expect(text).not.toMatch(/FAILED|I\/O error|EXT4-fs (error|warning)|XFS .*([Ee]rror|[Cc]orrupt|[Ss]hut)/);
    expect(text.match(/: connection lost/g)).toHaveLength(2 * KILLS);
    expect(text.match(/: attached/g)).toHaveLength(2 * KILLS);
    // The guest is gone without a word: its connections still have the disks.
    await imager.kill();
    imager = await lab.startImager({ config });
    for (const [disk, check] of Object.entries(CHECKERS)) {
      const image = join(dir, `${disk}.after`);
      await lab.space.check(['nbdcopy', `nbd://10.77.0.1/${disk}`, image]);
      await lab.space.check([...check, image]);
    }
    await imager.stop();
  } finally {
    await lab.close();
    rmSync(dir, { recursive: true });
  }
});
