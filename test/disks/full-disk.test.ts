/** A file system without space: what is done with disks there says so, and which disk it is. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { DiskWork } from '../../imager/disks/disk-work.ts';
import { SmallDisk } from '../support/small-disk.ts';

const full = (name: string): object => ({
  code: 'ENOSPC',
  message: `disk "${name}": no space is left on the file system (ENOSPC)`,
});

test('a snapshot and a new disk name the disk and say that the file system is full', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'full-disk-'));
  const small = await SmallDisk.over(dir, 2 * 2 ** 20);
  const image = join(small.here, 'image');
  writeFileSync(image, Buffer.alloc(65_536, 5));
  const disks = await Disks.open({ dir: small.here, log: pino({ level: 'silent' }) });
  await disks.addBase('b', image);
  await disks.create('d', 'b');
  const filler = join(small.here, 'filler');
  expect(() => writeFileSync(filler, Buffer.alloc(4 * 2 ** 20))).toThrow('ENOSPC');
  const work = new DiskWork(disks, Date.now);
  await expect(work.snapshot('d', '')).rejects.toMatchObject(full('d'));
  await expect(disks.create('e', 'b')).rejects.toMatchObject(full('e'));
  expect(readdirSync(join(small.here, 'disks'))).toEqual(['d']);
  rmSync(filler);
  expect(await work.snapshot('d', '')).toMatchObject({ id: 1 });
  await disks.create('e', 'b');
  await disks.close();
  await small.close();
  rmSync(dir, { recursive: true });
}, 30_000);
