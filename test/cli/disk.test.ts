/** The verbs of a disk's states, without an imager: on the files. */
import { once } from 'node:events';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { controlSocketPath } from '../../imager/model/config.ts';
import { loadConfig } from '../../imager/model/load.ts';
import { attached } from '../disks/attached.ts';
import { diskFolder } from '../support/disk-folder.ts';
import { type Ended, imagerProgram, runVerb } from '../support/imager-verbs.ts';

let dir: string;

async function write(at: number, fill: number): Promise<void> {
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  const disk = await attached(disks, 'd');
  await disk.write(Buffer.alloc(8192, fill), at);
  await disks.close();
}

beforeAll(async () => {
  await imagerProgram();
  dir = await diskFolder('cli-disk-');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const imager = (...args: string[]): Promise<Ended> => runVerb(args, { cwd: dir });
const disk = (...args: string[]): Promise<Ended> => imager('disk', ...args);

test('a disk is kept, changed, compared, rolled back, made a base image, and grows', async () => {
  await write(0, 1);
  expect(await disk('snapshot', 'd', '--label', 'one')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^generation +1\nlabel +one\n/),
  });
  await write(4096, 2);
  const diff = await disk('diff', 'd', '1', '--json');
  expect(JSON.parse(diff.stdout)).toEqual({
    from: 1,
    to: 'now',
    bytes: 8192,
    granularity: 4096,
    ranges: [{ offset: 4096, length: 8192 }],
  });
  expect((await disk('rollback', 'd', '1')).stdout).toBe(
    'd is as in generation 1; what it was is generation 2\n',
  );
  const { parent, generations } = JSON.parse((await disk('generations', 'd', '--json')).stdout);
  expect([parent, generations.map(({ id }: { id: number }) => id)]).toEqual([1, [1, 2]]);
  expect(await disk('drop', 'd', '2')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('say --yes'),
  });
  expect(await disk('drop', 'd', '2', '--yes')).toMatchObject({ code: 0 });
  expect(await disk('drop', 'd', '2', '--yes')).toMatchObject({
    code: 1,
    stderr: 'imager: no generation 2; there is: 1\n',
  });
  expect((await disk('grow', 'd', '2M')).stdout).toBe('d has 2.0 MiB\n');
  expect(await disk('commit', 'd', '--base', 'b2', '--generation', '1')).toMatchObject({ code: 0 });
  const content = Buffer.alloc(2 ** 20, 5).fill(1, 0, 8192);
  expect(readFileSync(join(dir, 'bases/b2.img')).equals(content)).toBe(true);
}, 60_000);

test('a disk that another process has is not checked', async () => {
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.open('d', { address: 'x' });
  expect(await disk('check', 'd')).toMatchObject({
    code: 1,
    stderr: 'imager: disk "d" is in use: stop whoever has it first\n',
  });
  await disks.close();
}, 60_000);

test('damage is told with exit code 1, and repaired only where one says so', async () => {
  expect(await disk('check', 'd')).toMatchObject({
    stdout: 'd is good: 2 blocks and 1 generations read\n',
    stderr: '100 %\n',
  });
  const path = join(dir, 'disks/d/overlay');
  const bytes = readFileSync(path);
  bytes[bytes.indexOf(Buffer.alloc(4096, 1)) + 9]! ^= 1;
  writeFileSync(path, bytes);
  expect(await disk('check', 'd')).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('is damaged: bytes 0 to 4095 of the disk'),
  });
  expect(await disk('repair', 'd')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('nothing was changed'),
  });
  expect(await disk('repair', 'd', '--yes')).toMatchObject({ code: 0 });
  expect(await disk('check', 'd')).toMatchObject({ code: 0 });
  expect(await disk('check', 'e')).toMatchObject({ code: 1, stderr: expect.stringContaining('no disk "e"') });
}, 60_000);

test('an imager that lets go of a damaged disk, and cannot open it again, keeps nobody from it', async () => {
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.open('d', { address: 'x' });
  const imager = createServer((_asked, answer) => {
    void disks.close().then(() => answer.writeHead(409).end('{"error":"disk \\"d\\" is damaged"}'));
  });
  imager.listen(controlSocketPath(loadConfig(join(dir, 'imager.yaml'))));
  await once(imager, 'listening');
  expect(await disk('check', 'd')).toMatchObject({ code: 0, stdout: expect.stringContaining('d is good') });
  imager.close();
}, 60_000);

test('base images are verified: all or one, and exit code 1 tells of a damaged one', async () => {
  const good = await imager('base', 'verify');
  expect(good).toMatchObject({ code: 0, stdout: 'b is good: 1.0 MiB read\nb2 is good: 1.0 MiB read\n' });
  expect(good.stderr).toBe('50 %\n100 %\n');
  const image = join(dir, 'bases/b2.img');
  chmodSync(image, 0o644);
  writeFileSync(image, Buffer.alloc(2 ** 20, 6));
  expect(await imager('base', 'verify', 'b')).toMatchObject({ code: 0 });
  const damaged = await imager('base', 'verify', '--json');
  expect(damaged.code).toBe(1);
  expect(JSON.parse(damaged.stdout)).toEqual([
    { name: 'b', bytes: 2 ** 20, damage: null },
    { name: 'b2', bytes: 2 ** 20, damage: expect.stringContaining('base image "b2" is damaged') },
  ]);
  expect(await imager('base', 'verify', 'b3')).toMatchObject({
    code: 1,
    stderr: 'imager: no base image "b3"; there is: b, b2\n',
  });
}, 60_000);
