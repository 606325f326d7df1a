/** An imager's folder with a configuration, the base image "b" of 1 MiB and the disk "d" over it. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Disks } from '../../imager/disks/catalog.ts';

/** Makes it; `prefix` begins its name. */
export async function diskFolder(prefix: string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), prefix));
  writeFileSync(
    join(dir, 'imager.yaml'),
    'state: .\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n',
  );
  writeFileSync(join(dir, 'image'), Buffer.alloc(2 ** 20, 5));
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('d', 'b');
  await disks.close();
  return dir;
}
