/** What the verbs of disks and base images say of wrong words, and of what they do: without an imager, on the files. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sizeOf } from '../../imager/cli/disk-words.ts';
import { controlSocketPath } from '../../imager/model/config.ts';
import { loadConfig } from '../../imager/model/load.ts';
import { diskFolder } from '../support/disk-folder.ts';
import { type Ended, imagerProgram, runVerb } from '../support/imager-verbs.ts';

let dir: string;

beforeAll(async () => {
  await imagerProgram();
  dir = await diskFolder('cli-disk-words-');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const imager = (...args: string[]): Promise<Ended> => runVerb(args, { cwd: dir });
const disk = (...args: string[]): Promise<Ended> => imager('disk', ...args);

test('a commit of what is not there does not say that it is reading; its help tells of the generation', async () => {
  expect(await disk('commit', 'e', '--base', 'b2')).toMatchObject({
    code: 1,
    stderr: 'imager: no disk "e"; there is: d\n',
  });
  expect(await disk('commit', 'd', '--base', 'b2', '--generation', '7')).toMatchObject({
    code: 1,
    stderr: 'imager: no generation 7; there is no generation yet\n',
  });
  expect((await disk('commit', '--help')).stdout).toMatch(
    /kept\s+as\s+a\s+generation\s+labelled\s+"base\s+image\s+NAME"/,
  );
}, 60_000);

test.each([
  [['grow', 'd', 'abc'], 'a size is in bytes'],
  [['grow', 'd', '-5'], 'a size is in bytes'],
  [['grow', 'd', '1.5X'], 'a size is in bytes'],
  [['grow', 'd', '0'], 'a disk has at least 1 and at most 4398046511104 bytes'],
  [['grow', 'd', '300T'], 'a disk has at least 1 and at most 4398046511104 bytes'],
  [['grow', 'd', '9999999T'], 'a disk has at least 1 and at most 4398046511104 bytes'],
  [['diff', 'd', 'foo'], 'no number of a generation'],
  [['diff', 'd', '1', 'foo'], 'no number of a generation'],
  [['rollback', 'd', '0'], 'no number of a generation'],
  [['drop', 'd', '4294967296', '--yes'], 'no number of a generation'],
  [['commit', 'd', '--base', 'b2', '--generation', 'x'], 'no number of a generation'],
  [['commit', 'd', '--base', 'B 2'], 'a name is 1 to 63 of a-z 0-9 . _ -'],
  [['create', '../e', '--base', 'b'], 'a name is 1 to 63 of a-z 0-9 . _ -'],
  [['snapshot', 'd', '--label', 'x'.repeat(64)], 'a label has at most 63 bytes'],
])('disk %j is wrong usage: %s', async (words, why) => {
  expect(await disk(...words)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(why) });
});

test.each([
  ['add', 'B', 'image'],
  ['build', 'B', '--arch', 'arm64'],
])('base %s of a name that can be none is wrong usage', async (...words) => {
  expect(await imager('base', ...words)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('a name is 1 to 63 of a-z 0-9 . _ -'),
  });
});

test('sizes are taken as they are printed, and what is no whole byte is a whole block', () => {
  expect(['512', '512 B', '2G', '2GiB', '2 GiB', '1.5G', '1.5 GiB', '0.5K', '1.3M'].map(sizeOf)).toEqual([
    512,
    512,
    2 ** 31,
    2 ** 31,
    2 ** 31,
    1.5 * 2 ** 30,
    1.5 * 2 ** 30,
    512,
    333 * 4096,
  ]);
});

test('a disk without generations is said to have none', async () => {
  expect(await disk('generations', 'd')).toMatchObject({ code: 0, stdout: 'd has no generations\n' });
  expect(JSON.parse((await disk('generations', 'd', '--json')).stdout).generations).toEqual([]);
  await disk('snapshot', 'd');
  expect((await disk('generations', 'd')).stdout).toMatch(/^ID .*\n1 \*.*\n\* the disk as it is/);
}, 60_000);

test.each(['base list', 'base add', 'base build', 'disk list', 'disk show', 'disk create', 'disk pack'])(
  'the help of %s says that it needs a running imager',
  async (verb) => {
    expect((await imager(...verb.split(' '), '--help')).stdout).toMatch(
      /\nNeeds a running imager: exit code 3 without one\.\n/,
    );
  },
);

test('what an imager reads for a new base image is told in percent', async () => {
  const shares = [0.25, 0.5];
  let done: ServerResponse | undefined;
  const asked: string[] = [];
  const fake = createServer((request, answer) => {
    if (request.method === 'POST') {
      done = answer;
      return;
    }
    asked.push(request.url!);
    answer.end(JSON.stringify({ share: shares.shift() ?? null }));
    const made = JSON.stringify({ name: 'b9', size: 1, allocatedBytes: 1, digest: 'f' });
    // A while later: the two connections know nothing of each other.
    if (shares.length === 0) setTimeout(() => done?.end(made), 100);
  });
  fake.listen(controlSocketPath(loadConfig(join(dir, 'imager.yaml'))));
  await once(fake, 'listening');
  expect(await imager('base', 'add', 'b9', 'image')).toMatchObject({
    code: 0,
    stderr: '20 %\n50 %\n100 %\n',
  });
  expect(asked).toEqual(['/control/bases/b9/progress', '/control/bases/b9/progress']);
  fake.close();
}, 60_000);
