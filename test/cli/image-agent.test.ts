/** `imager image agent`: the static program for a system that is up, without an imager and without a configuration. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { imagerProgram, runVerb } from '../support/imager-verbs.ts';
import { NATIVE } from '../support/static-program.ts';

let dir: string;
beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'image-agent-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const image = (...args: string[]) => runVerb(['image', ...args], { cwd: dir });
const agent = (...args: string[]) => image('agent', ...args);

/** e_machine of an ELF header (System V gABI, figure 4-3): EM_X86_64, EM_AARCH64. */
const MACHINES = { amd64: 62, arm64: 183 } as const;

test('writes an executable for either architecture, and says how large it is', async () => {
  for (const arch of ['amd64', 'arm64'] as const) {
    const ended = await agent(arch, '--arch', arch, '--json');
    expect(ended.code).toBe(0);
    const file = join(dir, arch);
    const content = readFileSync(file);
    expect(JSON.parse(ended.stdout)).toEqual({
      ...{ file, arch, bytes: content.length },
      sha256: createHash('sha256').update(content).digest('hex'),
    });
    expect(content.readUInt16LE(18)).toBe(MACHINES[arch]);
    expect(content.length).toBeLessThan(2.5e6);
    expect(statSync(file).mode & 0o7777).toBe(0o755);
    // What is compiled already is not said to be.
    const again = await agent(arch, '--arch', arch);
    expect(again.stderr).toBe(`agent ${arch}: bundling the agent\nagent ${arch}: linking ${file}\n`);
  }
  expect(
    execFileSync(join(dir, NATIVE), ['--version'], {
      encoding: 'utf8',
    }),
  ).toMatch(/^agent \d+\.\d+\.\d+ \(protocol \d+, quickjs\)\n$/);
});

test('where it cannot be written nothing is begun, and nothing made', async () => {
  mkdirSync(join(dir, 'folder'));
  writeFileSync(join(dir, 'file'), '');
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  const before = readdirSync(dir);
  for (const [out, words] of [
    ['folder', 'it is a folder, not a file'],
    ['nowhere/agent', 'there is no folder nowhere'],
    ['file/agent', 'a file is where a folder must be'],
    ['pipe', 'it is no plain file'],
  ] as const)
    expect(await agent(out)).toEqual({ code: 2, stdout: '', stderr: `imager: ${out}: ${words}\n` });
  expect(readdirSync(dir)).toEqual(before);
});

test('a build whose name or arguments no image can have asks nobody and begins nothing', async () => {
  const build = (name: string, ...args: string[]) => image('build', name, '--arch', 'amd64', ...args);
  expect(await build('No Name')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is no image name'),
  });
  expect(await build('name', '--args', 'a;b')).toMatchObject({
    ...{ code: 1, stderr: expect.stringContaining('may not contain') },
  });
});
