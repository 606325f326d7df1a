/** What the verbs of disks and base images say of wrong words, and of what they do: without an imager, on the files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { type Ended, imagerProgram, runVerb } from '../support/imager-verbs.ts';

let dir: string;

beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'cli-disk-words-'));
  writeFileSync(
    join(dir, 'imager.yaml'),
    'state: .\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n',
  );
  writeFileSync(join(dir, 'image'), Buffer.alloc(2 ** 20, 5));
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('d', 'b');
  await disks.close();
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
