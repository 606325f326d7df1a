/** What people do with disks, on a store of files, with clients attached. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SystemFile } from '../../imager/disks/block-file.ts';
import { Disks } from '../../imager/disks/catalog.ts';
import { DiskWork } from '../../imager/disks/disk-work.ts';
import { handles, systemError } from '../support/file-handles.ts';
import { attached, contentOf } from './attached.ts';

const SIZE = 8 * 2 ** 20;
const image = randomBytes(SIZE);
const client = { address: '10.0.0.1' };
let dir: string;
let disks: Disks;
let work: DiskWork;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'disk-work-'));
  writeFileSync(join(dir, 'image'), image);
  disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  work = new DiskWork(disks, () => 1_000_000_000_000.5);
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('d', 'b');
});

afterEach(async () => {
  await disks.close();
  rmSync(dir, { recursive: true });
});

const attach = () => attached(disks, 'd', client);

test('a snapshot under a client that goes on; a roll back only without one; it can be undone', async () => {
  const disk = await attach();
  await disk.write(Buffer.alloc(8192, 1), 0);
  expect(await work.snapshot('d', 'first')).toEqual({
    id: 1,
    parent: 0,
    time: '2001-09-09T01:46:40.000Z',
    label: 'first',
    size: SIZE,
    blocksWritten: 2,
    blocksZeroed: 0,
  });
  await disk.write(Buffer.alloc(4096, 2), 0);
  await disk.trim(1_048_576, 65_536);
  await expect(work.rollBack('d', 1)).rejects.toThrow('disk "d" is in use by 10.0.0.1: stop that first');
  expect(await work.differences('d', 1, 'now')).toEqual({
    from: 1,
    to: 'now',
    bytes: 4096 + 65_536,
    granularity: 4096,
    ranges: [
      { offset: 0, length: 4096 },
      { offset: 1_048_576, length: 65_536 },
    ],
  });
  const later = await contentOf(disk);
  await disk.close();
  const rolling = work.rollBack('d', 1);
  expect(await disks.open('d', client)).toEqual({ refused: 'busy', why: 'disk "d" is being rolled back' });
  expect(await rolling).toMatchObject({ id: 2, label: 'before the roll back to 1' });
  const now = await attach();
  const expected = Buffer.from(image);
  expected.fill(1, 0, 8192);
  expect((await contentOf(now)).equals(expected)).toBe(true);
  await now.close();
  expect(await work.rollBack('d', 2)).toMatchObject({ id: 1 });
  const again = await attach();
  expect((await contentOf(again)).equals(later)).toBe(true);
  await again.close();
  expect(await work.generations('d')).toMatchObject({
    parent: 2,
    generations: [{ id: 1 }, { id: 2, parent: 1 }],
  });
});

test('a disk becomes a base image, bit for bit, while its client writes on', async () => {
  const disk = await attach();
  await disk.write(Buffer.alloc(10_000, 1), 5000);
  const wanted = await contentOf(disk);
  const { id } = await work.snapshot('d', '');
  const committing = work.commit('d', 'b2', id);
  const writing = (async () => {
    for (let i = 0; i < 50; i++) await disk.write(Buffer.alloc(4096, 9), i * 40_960);
    await disk.flush();
  })();
  const base = await committing;
  expect(base.digest).toBe(createHash('sha256').update(wanted).digest('hex'));
  expect(readFileSync(join(dir, 'bases/b2.img')).equals(wanted)).toBe(true);
  await writing;
  await work.drop('d', 1);
  await expect(work.commit('d', 'b3', 1)).rejects.toThrow('no generation 1');
});

test('a disk grows under its client; what is new is zeroes', async () => {
  const disk = await attach();
  await disk.write(Buffer.alloc(100, 3), SIZE - 100);
  expect(await work.grow('d', 4 * 2 ** 30)).toMatchObject({ size: 4 * 2 ** 30, attached: '10.0.0.1' });
  expect(disk.size).toBe(4 * 2 ** 30);
  await disk.write(Buffer.alloc(100, 4), 4 * 2 ** 30 - 100);
  const bytes = Buffer.alloc(300);
  await disk.read(bytes, SIZE - 100);
  expect(bytes.equals(Buffer.concat([Buffer.alloc(100, 3), Buffer.alloc(200)]))).toBe(true);
  expect(disk.extents(SIZE, 2 ** 30, 1)).toEqual([
    { length: expect.any(Number), state: 'hole', dirty: false },
  ]);
  await expect(work.grow('d', SIZE)).rejects.toThrow(/cannot be made smaller/);
  for (const size of [0, 2 ** 43, 2 ** 60])
    await expect(work.grow('d', size)).rejects.toThrow(
      'a disk has at least 1 and at most 4398046511104 bytes',
    );
  await disk.close();
  expect(disks.describe('d', client)).toMatchObject({ size: 4 * 2 ** 30 });
});

test('a disk that lingers is let go, and another process may have it; one in use is not', async () => {
  await disks.close();
  disks = await Disks.open({ dir, log: pino({ level: 'silent' }), lingerMs: 3_600_000 });
  work = new DiskWork(disks, Date.now);
  const disk = await attach();
  const other = new SystemFile(join(dir, 'disks/d/overlay'), 'r');
  await expect(work.letGo('d')).rejects.toThrow('disk "d" is in use by 10.0.0.1: stop that first');
  await disk.close();
  expect(other.lock()).toBe(false);
  await work.letGo('d');
  expect(other.lock()).toBe(true);
  await expect(work.letGo('d')).rejects.toThrow('disk "d" is in use by another process of this machine');
  other.close();
});

test('space that is trimmed goes back to the file system', async () => {
  const disk = await attach();
  const path = join(dir, 'disks/d/overlay');
  for (let at = 0; at < SIZE; at += 2 ** 20) await disk.write(image.subarray(at, at + 2 ** 20), at);
  // A block at the very end keeps the file from being cut off.
  await disk.trim(0, SIZE - 8192);
  await disk.flush();
  await disk.close();
  expect(statSync(path).size).toBeGreaterThan(SIZE);
  expect(Number(execFileSync('stat', ['-c', '%b', path]).toString()) * 512).toBeLessThan(SIZE / 2);
});

test('wrong wishes tell what there is', async () => {
  await expect(work.snapshot('e', '')).rejects.toThrow('no disk "e"; there is: d');
  await expect(work.differences('d', 1, 'now')).rejects.toThrow(
    'no generation 1; there is no generation yet',
  );
  await expect(work.commit('d', 'b', undefined)).resolves.toMatchObject({ name: 'b' });
  const disk = await attach();
  await disk.write(Buffer.alloc(4096), 0);
  await expect(work.commit('d', 'b', undefined)).rejects.toThrow(/"b" exists with other content/);
  await disk.close();
});

test('a base image that cannot be made leaves no generation behind, one that was asked for stays', async () => {
  const disk = await attach();
  await disk.write(Buffer.alloc(4096), 0);
  await work.snapshot('d', 'mine');
  await disk.write(Buffer.alloc(4096, 1), 0);
  const ids = async () => {
    const { parent, generations } = await work.generations('d');
    return [parent, ...generations.map(({ id }) => id)];
  };
  await expect(work.commit('d', 'b', undefined)).rejects.toThrow(/"b" exists with other content/);
  expect(await ids()).toEqual([1, 1]);
  const proto = await handles();
  vi.spyOn(proto, 'write').mockRejectedValue(systemError('ENOSPC', -28));
  await expect(work.commit('d', 'b2', undefined)).rejects.toThrow(/b2.img cannot be written: no space/);
  vi.restoreAllMocks();
  expect(await ids()).toEqual([1, 1]);
  await expect(work.commit('d', 'b', 1)).rejects.toThrow(/"b" exists with other content/);
  expect(await ids()).toEqual([1, 1]);
  await work.commit('d', 'b2', undefined);
  expect(await ids()).toEqual([4, 1, 4]);
  await disk.close();
});

test('a base image whose name is taken by one of another size is refused before anything is read or kept', async () => {
  const made = vi.spyOn(await handles(), 'write');
  await work.grow('d', SIZE + 4096);
  let share = 0;
  const told = (done: number): void => {
    share = done;
  };
  await expect(work.commit('d', 'b', undefined, told)).rejects.toThrow(
    `base image "b" exists with other content: it has ${SIZE} bytes, not ${SIZE + 4096}`,
  );
  await expect(work.commit('d', 'B', undefined, told)).rejects.toThrow(/"B" cannot be a base image's name/);
  writeFileSync(join(dir, 'image'), image.subarray(4096));
  await expect(disks.addBase('b', join(dir, 'image'))).rejects.toThrow(/exists with other content: it has/);
  expect([share, made.mock.calls.length]).toEqual([0, 0]);
  vi.restoreAllMocks();
  const first = await work.snapshot('d', '');
  expect(first.id).toBe(1);
});
