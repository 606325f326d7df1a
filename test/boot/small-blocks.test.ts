/** A base whose file system has blocks smaller than 4096 bytes: the node's kernel can mount it, and write to it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { stockFor } from '../../firmware-stubs/rig/scenario/stock.ts';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 240_000;
const SCRIPT = `set -e
cat /sys/block/nbd0/queue/logical_block_size > /srv/www/sectors.txt
dd if=/dev/urandom of=/srv/www/data bs=1000 count=500 conv=fsync 2>/dev/null
sync
echo 3 > /proc/sys/vm/drop_caches
sha256sum /srv/www/data > /srv/www/sum.txt
`;

let work: string;
let cluster: Cluster;
beforeAll(async () => {
  const { base } = await stockFor('arm64');
  mkdirSync(projectFile('build/test'), { recursive: true });
  work = mkdtempSync(projectFile('build/test/small-blocks-'));
  cluster = await Cluster.open({
    rig: 'arm64',
    nodes: ['n1'],
    images: ['alpha'],
    base: smallBlocks(base, work),
    userConfig: { secondReboot: false, scripts: [{ name: '50-write.sh', stage: 2, content: SCRIPT }] },
  });
});
afterAll(async () => {
  await cluster?.close();
  rmSync(work, { recursive: true, force: true });
});

/** The same files in an ext4 of blocks of 1024 bytes. */
function smallBlocks(image: string, dir: string): string {
  const file = join(dir, 'small.img');
  writeFileSync(file, '');
  truncateSync(file, 256 * 2 ** 20);
  mkdirSync(join(dir, 'root'));
  const copy =
    'debugfs -R "rdump / $2/root" "$1" && mke2fs -q -F -t ext4 -b 1024 -d "$2/root" "$2/small.img"';
  const root = process.getuid?.() === 0 ? [] : ['unshare', '--map-root-user'];
  const [program, ...args] = [...root, 'sh', '-ec', copy, 'sh', image, dir];
  execFileSync(program!, args, { stdio: 'pipe' });
  return file;
}

it(
  'boots from it, and reads back what it wrote',
  async () => {
    const node = cluster.nodes[0]!;
    await node.powerOn();
    await node.waitForStep('ready', { withinMs: BOOTED });
    expect(await cluster.get('http://10.77.0.11/sectors.txt')).toBe('1024\n');
    const data = await cluster.lab.space.check([
      ...['sh', '-c', 'curl -fsS http://10.77.0.11/data | sha256sum'],
    ]);
    expect((await cluster.get('http://10.77.0.11/sum.txt')).slice(0, 64)).toBe(data.slice(0, 64));
    expect(node.serial()).not.toMatch(/I\/O error|EXT4-fs error/);
  },
  BOOTED,
);
