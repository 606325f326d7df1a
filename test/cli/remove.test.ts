/** `imager disk remove` and `imager base remove`, without an imager: on the files. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { DiskWork } from '../../imager/disks/disk-work.ts';
import { attached } from '../disks/attached.ts';
import { diskFolder } from '../support/disk-folder.ts';
import { type Ended, imagerProgram, runVerb } from '../support/imager-verbs.ts';

let dir: string;

const open = (): Promise<Disks> => Disks.open({ dir, log: pino({ level: 'silent' }) });
const imager = (...args: string[]): Promise<Ended> => runVerb(args, { cwd: dir });

beforeAll(async () => {
  await imagerProgram();
  dir = await diskFolder('cli-remove-');
  const disks = await open();
  const disk = await attached(disks, 'd');
  await disk.write(Buffer.alloc(8192, 1), 0);
  await disk.close();
  await new DiskWork(disks, Date.now).snapshot('d', 'kept');
  await disks.close();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('without --yes what would be lost is told, with exit code 1, and nothing is', async () => {
  const told = await imager('disk', 'remove', 'd');
  expect(told).toMatchObject({ code: 1, stderr: 'imager: nothing was removed: say --yes\n' });
  expect(told.stdout).toMatch(
    /^disk d would be gone for ever: over b: 8\.0 KiB written, 1 generation, takes up .*\n$/,
  );
  const asJson = await imager('disk', 'remove', 'd', '--json');
  expect(asJson.code).toBe(1);
  expect(JSON.parse(asJson.stdout)).toMatchObject({ name: 'd', base: 'b', blocksWritten: 2, generations: 1 });
  expect(existsSync(join(dir, 'disks/d/overlay'))).toBe(true);
  expect(await imager('base', 'remove', 'b')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'imager: base image "b" is under disk d: remove first what is over it\n',
  });
}, 60_000);

test('names that are unknown, or none, are told', async () => {
  expect(await imager('disk', 'remove', 'e', '--yes')).toMatchObject({
    code: 1,
    stderr: 'imager: no disk "e"; there is: d\n',
  });
  expect(await imager('base', 'remove', 'e', '--yes')).toMatchObject({
    code: 1,
    stderr: 'imager: no base image "e"; there is: b\n',
  });
  for (const [what, words] of [
    ['disk', 'a disk'],
    ['base', 'a base image'],
  ] as const)
    for (const name of ['', '../d', 'base:b', 'd/overlay', '\u001b[2J', 'x'.repeat(300)])
      expect(await imager(what, 'remove', name, '--yes')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`is no name of ${words}`),
      });
}, 120_000);

test('a disk that another process has is kept', async () => {
  const disks = await open();
  await attached(disks, 'd');
  expect(await imager('disk', 'remove', 'd', '--yes')).toMatchObject({
    code: 1,
    stderr: 'imager: disk "d" is in use by another process of this machine\n',
  });
  await disks.close();
}, 60_000);

test('with --yes disk and base image are gone, damaged or not', async () => {
  expect((await imager('disk', 'remove', 'd', '--yes')).stdout).toMatch(
    /^disk d is gone: over b: 8\.0 KiB written/,
  );
  const disks = await open();
  await disks.create('torn', 'b');
  await disks.close();
  writeFileSync(join(dir, 'disks/torn/overlay'), 'torn');
  expect(await imager('disk', 'remove', 'torn', '--yes')).toMatchObject({
    code: 0,
    stdout: 'disk torn is gone: disk "torn" is damaged: its file has 4 bytes\n',
  });
  const removed = await imager('base', 'remove', 'b', '--yes', '--json');
  expect(removed.code).toBe(0);
  expect(JSON.parse(removed.stdout)).toMatchObject({ name: 'b', size: 2 ** 20 });
  expect([readdirSync(join(dir, 'disks')), readdirSync(join(dir, 'bases'))]).toEqual([[], []]);
}, 60_000);
