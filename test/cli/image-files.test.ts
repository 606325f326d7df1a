/** `imager image inspect`: no imager, and for files no configuration. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { showImage } from '../../imager/cli/image-text.ts';
import { BootTable } from '../../imager/images/table.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { imagerProgram, runVerb } from '../support/imager-verbs.ts';
import { asKernel, wholeNbi } from '../support/kernels.ts';

let dir: string;
beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'cli-'));
  const kernel = asKernel('amd64', Buffer.alloc(4096));
  const nbi = wholeNbi({ kernel, initrd: Buffer.from('an initrd'), args: '' });
  writeFileSync(join(dir, 'kernel'), kernel);
  writeFileSync(join(dir, 'whole.nbi'), nbi);
  writeFileSync(join(dir, 'half.nbi'), nbi.subarray(0, 2000));
  writeFileSync(join(dir, 'huge.nbi'), nbi);
  truncateSync(join(dir, 'huge.nbi'), 2 ** 32);
  mkdirSync(join(dir, 'folder'));
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  writeFileSync(join(dir, 'garbled.nbi'), nbi.subarray(0, 200));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const inspect = (...args: string[]) => runVerb(['image', 'inspect', ...args], { cwd: dir });

test('a tagged image field by field, in words and as JSON', async () => {
  const [words, json] = await Promise.all([inspect('whole.nbi'), inspect('whole.nbi', '--json')]);
  expect(words).toMatchObject({ code: 0, stderr: '' });
  expect(words.stdout).toMatch(/^a tagged network boot image\n\nmagic {8}0x1b031336\n/);
  expect(words.stdout).toContain(
    'segment       4, kernel\ntag           3\nload address  0x100000, absolute\n',
  );
  expect(JSON.parse(json.stdout)).toMatchObject({ format: 'nbi', faults: [], nbi: { returns: false } });
});

test('a kernel', async () => {
  expect((await inspect('kernel')).stdout).toMatch(/^a Linux kernel for amd64\n\nboot protocol {2}2\.15\n/);
});

test.each([
  ['half.nbi', /^imager: the file is cut short: 2000 of \d+ bytes\n$/],
  ['garbled.nbi', /^imager: garbled\.nbi: the header is cut short: 200 of 512 bytes\n$/],
  [
    'absent',
    /^imager: there is no file absent, and no configuration imager\.yaml that says where boot images/,
  ],
  ['./absent', /^imager: \.\/absent: there is no such file \(ENOENT\)\n$/],
  ['.', /^imager: \. is a folder, not a file\n$/],
  ['..', /^imager: \.\. is a folder, not a file\n$/],
  ['./folder', /^imager: \.\/folder is a folder, not a file\n$/],
  ['fifo', /^imager: fifo is a FIFO, not a file\n$/],
  ['huge.nbi', /^imager: \d+ bytes follow the last segment\n$/],
])('%s: exit code 1 and why', async (file, message) => {
  const { code, stderr } = await inspect(file);
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
});

test('an image of the boot table, by its name', async () => {
  const home = join(dir, 'home');
  mkdirSync(home);
  writeFileSync(
    join(home, 'imager.yaml'),
    'state: .\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n',
  );
  const config = ['--config', join(home, 'imager.yaml')];
  expect(await inspect('base', ...config)).toMatchObject({
    code: 1,
    stderr: 'imager: there is no file base, and no boot image of that name; there is: none\n',
  });
  const table = await BootTable.open(join(home, 'images'), temporarySigner());
  const kernel = join(dir, 'kernel');
  await table.add({ name: 'base', arch: 'amd64', args: 'quiet', kernel, initrd: join(dir, 'whole.nbi') });
  await table.add({ name: 'program', arch: 'amd64', kernel, initrd: '/bin/true' });
  const told = await inspect('program', ...config);
  expect(told.stdout).toContain('\n\ninitrd: an ELF file, ');
  await table.add({ name: 'tagged', nbi: join(dir, 'whole.nbi') });
  await table.close();
  const [base, tagged, json, other] = await Promise.all([
    inspect('base', ...config),
    inspect('tagged', ...config),
    inspect('base', '--json', ...config),
    inspect('absent', ...config),
  ]);
  expect(base).toMatchObject({ code: 0, stderr: '' });
  expect(base.stdout).toMatch(
    /^boot image base: linux, for amd64, added 20.*\n\narguments: quiet\n\nkernel: a Linux kernel for amd64, [\d.]+ KiB\n\nboot protocol {2}2\.15\n/,
  );
  expect(base.stdout).toContain('\n\ninitrd: a tagged network boot image, ');
  expect(base.stdout).toMatch(
    /\n\nnot looked at: its signature and the checksums of its files \(imager image verify base\)\n$/,
  );
  expect(tagged.stdout).not.toContain('arguments');
  expect(tagged.stdout).toMatch(/^boot image tagged: nbi, .*\n\nboot\.nbi: a tagged network boot image, /);
  expect(tagged.stdout).toContain('segment       4, kernel\n');
  expect(JSON.parse(json.stdout)).toMatchObject({
    kind: 'linux',
    files: { kernel: { sha256: expect.any(String), format: 'linux', faults: [] } },
  });
  expect(other.stderr).toBe(
    'imager: there is no file absent, and no boot image of that name; there is: base, program, tagged\n',
  );
  // A folder of that name here, such as one its files were built in, does not hide it.
  mkdirSync(join(dir, 'tagged'));
  expect((await inspect('tagged', ...config)).stdout).toBe(tagged.stdout);
  expect((await inspect('folder', ...config)).stderr).toBe(
    'imager: there is no file folder, and no boot image of that name; there is: base, program, tagged\n',
  );
});

test("a tagged image's arguments are in its file, which is said where a kernel's are shown", () => {
  const file = { bytes: 1, sha256: 'a'.repeat(64) };
  const common = { name: 'x', arch: 'amd64', args: '', added: '2026-01-01T00:00:00.000Z' } as const;
  expect(showImage({ ...common, kind: 'nbi', files: { 'boot.nbi': file } })).toMatch(
    /^arguments +part of boot\.nbi$/m,
  );
  expect(showImage({ ...common, kind: 'efi', files: { 'boot.efi': file } })).toMatch(/^arguments +-$/m);
});
