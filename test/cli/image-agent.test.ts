/** `imager image agent`: the static program for a system that is up, without an imager and without a configuration. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { imagerProgram, runVerb } from '../support/imager-verbs.ts';

let dir: string;
beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'image-agent-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const agent = (...args: string[]) => runVerb(['image', 'agent', ...args], { cwd: dir });

/** e_machine of an ELF header (System V gABI, figure 4-3): EM_X86_64, EM_AARCH64. */
const MACHINES = { amd64: 62, arm64: 183 } as const;

test('writes an executable for either architecture, and says how large it is', {
  timeout: 120_000,
}, async () => {
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
  }
  expect(
    execFileSync(join(dir, process.arch === 'arm64' ? 'arm64' : 'amd64'), ['--version'], {
      encoding: 'utf8',
    }),
  ).toMatch(/^agent \d+\.\d+\.\d+ \(protocol \d+, quickjs\)\n$/);
});

test('what cannot be written is said, and nothing is left beside it', { timeout: 60_000 }, async () => {
  mkdirSync(join(dir, 'folder'));
  const before = readdirSync(dir);
  const ended = await agent('folder');
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toMatch(/\nimager: folder was not written: .*folder/);
  expect(readdirSync(dir)).toEqual(before);
});
