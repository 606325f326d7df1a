/** Peers whose Debian packages start a daemon at installation: fetched and unpacked beside us instead, never installed. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const PEERS = resolve(import.meta.dirname, '../../build/peers');

/**
 * The root folder of the unpacked package `name`, fetched where that was not done before. What it depends on is in
 * apt-packages.txt. Rejects with apt's words where it cannot be had.
 */
export async function unpackedPeer(name: 'kea-dhcp4-server' | 'tftpd-hpa'): Promise<string> {
  const root = join(PEERS, name);
  if (existsSync(root)) return root;
  await mkdir(PEERS, { recursive: true });
  const folder = await mkdtemp(join(PEERS, '.fetching-'));
  try {
    await run('apt-get', ['-q', 'download', name], { cwd: folder });
    const [archive] = await readdir(folder);
    await run('dpkg-deb', ['-x', archive!, 'root'], { cwd: folder });
    // Whole or not there at all. Who was faster has put the same there.
    await rename(join(folder, 'root'), root).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY') throw error;
    });
    return root;
  } finally {
    await rm(folder, { recursive: true });
  }
}
