/** Clients that people use and test/nbd/clients.test.ts has not: a disk as a file, a shell, a measuring tool, images into a disk. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Disks } from '../../../imager/disks/catalog.ts';
import { bundle } from '../../support/inside.ts';
import { Victim } from './victim.ts';
import { Witness } from './witness.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;
const SIZE = 16 * MIB;
const image = Witness.image(SIZE);
const HAS_FUSE = existsSync('/dev/fuse') && process.getuid?.() === 0;

let program: string;
let dir: string;
let server: Victim;

beforeAll(async () => {
  program = await bundle('test/nbd/proofs/server.ts');
  dir = mkdtempSync(join(tmpdir(), 'nbd-more-clients-'));
  writeFileSync(join(dir, 'image'), image);
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.addBase('b', join(dir, 'image'));
  for (const name of ['fuse', 'shell', 'bench', 'convert']) await disks.create(name, 'b');
  await disks.close();
  server = await Victim.start(program, dir);
});

afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true });
});

test.skipIf(!HAS_FUSE)('nbdfuse: the disk as a file, with several connections', async () => {
  const folder = join(dir, 'mounted');
  const file = join(folder, 'nbd');
  mkdirSync(folder);
  const client = execFile('nbdfuse', ['-C', '4', folder, `${server.uri}/fuse`]);
  const ended = once(client, 'exit');
  while (!existsSync(file)) {
    expect(client.exitCode).toBeNull();
    await setTimeout(20);
  }
  try {
    expect(readFileSync(file).equals(image)).toBe(true);
    const handle = await open(file, 'r+');
    await handle.write(Buffer.alloc(100_000, 'fuse'), 0, 100_000, 5 * MIB + 1000);
    await handle.sync();
    await handle.close();
  } finally {
    await run('umount', [folder]);
  }
  await ended;
  const copy = join(dir, 'fuse.raw');
  await run('nbdcopy', [`${server.uri}/fuse`, copy]);
  const expected = Buffer.from(image);
  expected.fill('fuse', 5 * MIB + 1000, 5 * MIB + 101_000);
  expect(readFileSync(copy).equals(expected)).toBe(true);
});

test("nbdsh: libnbd's shell", async () => {
  const words =
    'h.pwrite(b"abc" * 5000, 777); h.flush(); print(h.pread(15000, 777) == b"abc" * 5000, h.get_size())';
  // Of the Pythons there may be the distribution's own has libnbd.
  const env = { ...process.env, PATH: '/usr/bin:/bin' };
  const { stdout } = await run('nbdsh', ['-u', `${server.uri}/shell`, '-c', words], { env });
  expect(stdout.trim()).toBe(`True ${SIZE}`);
});

test('qemu-img bench: reads, and writes with flushes between', async () => {
  const how = ['bench', '-f', 'raw', '-t', 'none', '-d', '16', '-s', '4096', '-c', '1500'];
  const uri = `${server.uri}/bench`;
  expect((await run('qemu-img', [...how, uri])).stdout).toContain('Run completed');
  const writes = ['-w', '--pattern=90', '--flush-interval=16', '-S', '8192'];
  expect((await run('qemu-img', [...how, ...writes, uri])).stdout).toContain('Run completed');
  const check = ['-f', 'raw', uri, '-c', 'read -P 90 0 4k', '-c', 'read -P 90 8k 4k'];
  expect((await run('qemu-io', check)).stdout).not.toContain('Pattern verification failed');
});

test('qemu-img convert: a qcow2 image into a disk, out of it again, and compared', async () => {
  const qcow2 = join(dir, 'other.qcow2');
  const raw = join(dir, 'other.raw');
  const other = Buffer.from(image.subarray().reverse());
  other.fill(0, 3 * MIB, 9 * MIB);
  writeFileSync(raw, other);
  await run('qemu-img', ['convert', '-O', 'qcow2', raw, qcow2]);
  const uri = `${server.uri}/convert`;
  await run('qemu-img', ['convert', '-n', '-W', '-m', '8', '-f', 'qcow2', '-O', 'raw', qcow2, uri]);
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', uri, qcow2]);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', uri, join(dir, 'back.raw')]);
  expect(readFileSync(join(dir, 'back.raw')).equals(other)).toBe(true);
  const different = run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', uri, join(dir, 'image')]);
  await expect(different).rejects.toMatchObject({ code: 1 });
});
