/** Base images whose files change while disks over them are in use, and what becomes of the disks. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import type { Disk } from '../../imager/disks/disk.ts';
import { eventually } from '../support/eventually.ts';
import { attached } from './attached.ts';

const client = { address: '10.0.0.1' };
const CONTENT = Buffer.alloc(2 ** 20, 7);
const IN_USE = /^base image "b" was changed while it is in use: stop whoever uses disks over it/;

let dir: string;
let image: string;
let disks: Disks;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'changed-bases-'));
  writeFileSync(join(dir, 'image'), CONTENT);
  image = join(dir, 'bases/b.img');
  disks = await Disks.open({ dir, log: pino({ level: 'silent' }), lingerMs: 60_000 });
  await disks.addBase('b', join(dir, 'image'));
  for (const name of ['d1', 'd2', 'd3']) await disks.create(name, 'b');
  chmodSync(image, 0o644);
});
afterEach(async () => {
  await disks.close();
  rmSync(dir, { recursive: true });
});

const firstByte = async (disk: Disk): Promise<number> => {
  const target = Buffer.alloc(4096);
  await disk.read(target, 0);
  return target[0]!;
};

const changed = (disk: Disk): Promise<unknown> =>
  eventually(() => expect(firstByte(disk)).rejects.toThrow('was changed while it is in use'));

test('a base that was changed while in use is looked at anew once nobody uses it', async () => {
  const [d1, d2] = [await attached(disks, 'd1', client), await attached(disks, 'd2', client)];
  await (await attached(disks, 'd3', client)).close();
  utimesSync(image, 1, 2);
  await changed(d1);
  await d1.close();
  await expect(disks.open('d1', client)).rejects.toThrow(IN_USE);
  await expect(disks.open('base:b', client)).rejects.toThrow(IN_USE);
  await d2.close();
  expect(await firstByte(await attached(disks, 'd1', client))).toBe(7);
});

test('who looks into the base itself uses it, too', async () => {
  const look = await attached(disks, 'base:b', client);
  utimesSync(image, 1, 2);
  await changed(look);
  await expect(disks.open('d1', client)).rejects.toThrow(IN_USE);
  await look.close();
  await look.close();
  const again = await attached(disks, 'd1', client);
  expect(await firstByte(again)).toBe(7);
});

test('a base that is refused is listed with the reason, as are disks over it, and gets no new ones', async () => {
  const d1 = await attached(disks, 'd1', client);
  expect(disks.bases()[0]).not.toHaveProperty('damage');
  expect(disks.show('d2')).not.toHaveProperty('damage');
  utimesSync(image, 1, 2);
  await changed(d1);
  expect(disks.bases()).toMatchObject([{ name: 'b', damage: expect.stringMatching(IN_USE) }]);
  expect(disks.show('d2')).toMatchObject({ name: 'd2', damage: expect.stringMatching(IN_USE) });
  expect(disks.problems()).toEqual([expect.stringMatching(IN_USE)]);
  await expect(disks.create('d4', 'b')).rejects.toThrow(IN_USE);
  await d1.close();
  expect(disks.bases()[0]).not.toHaveProperty('damage');
  await disks.create('d4', 'b');
});

test('other content stays refused, and is known, until it is what was added', async () => {
  const d1 = await attached(disks, 'd1', client);
  writeFileSync(image, readFileSync(image).fill(8, 4096, 8192));
  await changed(d1);
  await d1.close();
  const wrong = 'base image "b" was changed: its content is not what was added';
  await expect(disks.open('d2', client)).rejects.toThrow(wrong);
  await expect(disks.create('d4', 'b')).rejects.toThrow(wrong);
  expect(disks.show('d1')).toMatchObject({ damage: expect.stringContaining(wrong) });
  writeFileSync(image, CONTENT);
  expect(await firstByte(await attached(disks, 'd2', client))).toBe(7);
  expect(disks.show('d1')).not.toHaveProperty('damage');
});
