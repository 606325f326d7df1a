/** What the verbs that list disks and base images say of those that are damaged, as an imager tells of them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Ended, imagerProgram, runVerb } from '../support/imager-verbs.ts';

const DAMAGE = 'base image "b" was changed while it is in use: stop whoever uses disks over it';
const base = { size: 4096, digest: 'abc', allocatedBytes: 512, boot: null };
const disk = {
  ...{ name: 'd', base: 'b', baseDigest: 'abc', size: 4096, blockSize: 4096, blocksWritten: 0 },
  ...{ blocksZeroed: 0, allocatedBytes: 8192, generations: 0, parent: 0 },
};
const answers: Record<string, unknown> = {
  '/api/bases': [
    { name: 'a', ...base },
    { name: 'b', ...base, damage: DAMAGE },
    { name: 'c', damage: 'base image "c" is damaged: c.img is missing' },
  ],
  '/api/disks': [
    { ...disk, attached: '10.0.0.1' },
    { ...disk, name: 'e', damage: DAMAGE },
    { name: 'f', damage: 'disk "f" is damaged: its file has 0 bytes' },
  ],
  '/api/disks/d': { ...disk, damage: DAMAGE },
};

let dir: string;
let server: Server;
beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'cli-damaged-'));
  const config = 'state: .\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n';
  writeFileSync(join(dir, 'imager.yaml'), config);
  server = createServer(({ url }, response) => response.end(JSON.stringify(answers[url ?? ''])));
  await new Promise<void>((done) => server.listen(join(dir, 'control.sock'), done));
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const imager = (...args: string[]): Promise<Ended> => runVerb(args, { cwd: dir });

test('base images that are refused or damaged are listed with the reason', async () => {
  const { code, stdout } = await imager('base', 'list');
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/ SHA256 +DAMAGE$/),
    expect.stringMatching(/^a +4\.0 KiB +512 B +- +- +abc +-$/),
    expect.stringMatching(new RegExp(`^b +4\\.0 KiB +512 B +- +- +abc +${DAMAGE}$`)),
    expect.stringMatching(/^c +- +- +- +- +- +base image "c" is damaged: c\.img is missing$/),
    '',
  ]);
}, 60_000);

test('a disk over such a base says so', async () => {
  expect((await imager('disk', 'show', 'd')).stdout).toContain(`damage        ${DAMAGE}\n`);
}, 60_000);

test('damaged disks have a row of their own', async () => {
  const { code, stdout } = await imager('disk', 'list');
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/ ATTACHED +DAMAGE$/),
    expect.stringMatching(/^d +b +4\.0 KiB +0 B +10\.0\.0\.1 +-$/),
    expect.stringMatching(new RegExp(`^e +b +4\\.0 KiB +0 B +- +${DAMAGE}$`)),
    expect.stringMatching(/^f +- +- +- +- +disk "f" is damaged: its file has 0 bytes$/),
    '',
  ]);
}, 60_000);

test.each(['check', 'repair'])(
  'disk %s of one whose file is missing says that',
  async (verb) => {
    mkdirSync(join(dir, 'disks/gone'), { recursive: true });
    const path = join(dir, 'disks/gone/overlay');
    expect(await imager('disk', verb, 'gone')).toMatchObject({
      code: 1,
      stderr: `imager: disk "gone" is damaged: its file ${path} is missing\n`,
    });
  },
  60_000,
);
