/**
 * Two nodes at once on one base disk, and an imager that dies under them while they write: nothing that was synced is
 * lost, and the two disks differ only where one of the nodes wrote.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { attached, contentOf } from '../disks/attached.ts';
import { Cluster } from '../support/cluster.ts';

const BOOTED = 300_000;
const FILES = 16;
const BLOCK = 4096;
const log = pino({ level: 'silent' });

/** MiB of the disks once they have grown. */
const GROWN = 300;

/**
 * Writes files one after another, each synced before its checksum is published and its number said on the console. Ends when
 * the disk has grown.
 */
const WRITER = `set -e
mkdir -p /srv/data
i=1
while [ $i -le ${FILES} ]; do
  dd if=/dev/urandom of=/srv/data/$i bs=64k count=8 conv=fsync 2>/dev/null
  sha256sum /srv/data/$i >> /srv/www/sums.txt
  sync
  echo "wrote $i" > /dev/console
  i=$((i+1))
done
until [ "$(cat /sys/block/nbd0/size)" = ${GROWN * 2048} ]; do sleep 1; done
`;

describe('two nodes on one base, the imager killed and stopped while they write', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.open({
      rig: 'arm64',
      nodes: ['n1', 'n2'],
      images: ['alpha'],
      userConfig: {
        secondReboot: false,
        scripts: [{ name: '50-write.sh', stage: 2, content: WRITER, timeoutSeconds: 240 }],
      },
    });
  });
  afterAll(() => cluster?.close());

  it(
    'both get ready, every checksum is right afterwards',
    async () => {
      await Promise.all(cluster.nodes.map((node) => node.powerOn()));
      const wrote = (count: number) =>
        Promise.all(
          cluster.nodes.map((node) =>
            node.waitForLine((line) => line === `wrote ${count}`, { withinMs: BOOTED }),
          ),
        );
      await wrote(3);
      await cluster.imager.kill();
      await cluster.startImager();
      await wrote(8);
      expect(await cluster.imager.stop()).toBe(0);
      // A kernel hears of more room when its connection is made anew.
      for (const name of ['n1-root', 'n2-root']) await cluster.json('disk', 'grow', name, `${GROWN}M`);
      await cluster.startImager();
      await Promise.all(cluster.nodes.map((node) => node.waitForStep('ready', { withinMs: BOOTED })));

      const sums = await Promise.all([1, 2].map((n) => cluster.get(`http://10.77.0.1${n}/sums.txt`)));
      for (const text of sums) expect(text.trim().split('\n')).toHaveLength(FILES);
      for (const node of cluster.nodes) {
        expect(node.serial()).toMatch(/connection lost/);
        expect(node.serial()).not.toMatch(/I\/O error|EXT4-fs error/);
        await node.cutPower();
      }
      expect(await cluster.imager.stop()).toBe(0);
      for (const [i, node] of cluster.nodes.entries())
        expect(checksums(await diskImage(cluster, `${node.name}-root`))).toEqual(parseSums(sums[i]!));
    },
    BOOTED,
  );

  it('the disks differ from the base, and from one another, only where a node wrote', async () => {
    const base = readFileSync(join(cluster.dir, 'state/bases/web.img'));
    const disks = await Disks.open({ dir: join(cluster.dir, 'state'), log });
    const [one, two] = await Promise.all(['n1-root', 'n2-root'].map((name) => content(disks, name)));
    const written = await Promise.all(['n1-root', 'n2-root'].map((name) => writtenBlocks(disks, name)));
    await disks.close();

    // What a disk has grown by is behind its base.
    const differing = [one!, two!].map((disk) => blocksThatDiffer(base, disk.subarray(0, base.length)));
    for (const [i, blocks] of differing.entries()) {
      expect(blocks.size).toBeGreaterThan((FILES * 512 * 1024) / BLOCK);
      expect([...blocks].filter((block) => !written[i]!.has(block))).toEqual([]);
    }
    const either = new Set([...written[0]!, ...written[1]!]);
    const apart = [...blocksThatDiffer(one!.subarray(0, base.length), two!.subarray(0, base.length))];
    expect(apart.length).toBeGreaterThan(0);
    expect(apart.filter((block) => !either.has(block))).toEqual([]);
  });
});

/** Blocks that a disk says are its own, or zero: all that its node ever wrote or gave back. */
async function writtenBlocks(disks: Disks, name: string): Promise<Set<number>> {
  const disk = await attached(disks, name);
  const blocks = new Set<number>();
  let at = 0;
  while (at < disk.size)
    for (const { length, dirty } of disk.extents(at, disk.size - at, 1000)) {
      for (let block = at / BLOCK; dirty && block < (at + length) / BLOCK; block++) blocks.add(block);
      at += length;
    }
  await disk.close();
  return blocks;
}

async function content(disks: Disks, name: string): Promise<Buffer> {
  const disk = await attached(disks, name);
  const bytes = await contentOf(disk);
  await disk.close();
  return bytes;
}

/** A raw copy of a disk, its file system's journal replayed as the node itself would. */
async function diskImage(cluster: Cluster, name: string): Promise<string> {
  const disks = await Disks.open({ dir: join(cluster.dir, 'state'), log });
  const path = join(cluster.dir, `${name}.raw`);
  const fd = openSync(path, 'w');
  writeSync(fd, await content(disks, name));
  closeSync(fd);
  await disks.close();
  // Exit code 1: the journal was replayed.
  execFileSync('sh', ['-c', 'e2fsck -fp "$1" || [ $? = 1 ]', 'sh', path], { stdio: 'pipe' });
  return path;
}

/** SHA-256 of each file the nodes wrote, from a raw image. */
function checksums(image: string): Map<string, string> {
  const files = Array.from({ length: FILES }, (_, i) => `/srv/data/${i + 1}`);
  return new Map(
    files.map((file) => {
      const bytes = execFileSync('debugfs', ['-R', `cat ${file}`, image], {
        maxBuffer: 1 << 24,
        stdio: 'pipe',
      });
      return [file, createHash('sha256').update(bytes).digest('hex')];
    }),
  );
}

function parseSums(text: string): Map<string, string> {
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => {
        const [sum = '', file = ''] = line.split(/\s+/);
        return [file, sum];
      }),
  );
}

function blocksThatDiffer(a: Buffer, b: Buffer): Set<number> {
  const blocks = new Set<number>();
  for (let at = 0; at < a.length; at += BLOCK)
    if (a.compare(b, at, at + BLOCK, at, at + BLOCK) !== 0) blocks.add(at / BLOCK);
  return blocks;
}
