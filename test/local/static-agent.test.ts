/** The local store's folder as the static binary writes it: the same files as Node's, killed at any of its system calls. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLocalFolder } from '../../agent/linux/local-folder.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { staticProgram } from '../support/static-program.ts';
import { definitionOf, uuid } from './definitions.ts';

/** Calls that change files, and the lock. */
const CALLS = ['openat', 'pwrite64', 'fsync', 'rename', 'mkdir', 'unlink', 'rmdir', 'flock'];

const DISK = 'n1-root';

let dir: string;
let program: string;
beforeAll(async () => {
  dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'local-static-'));
  program = await staticProgram({ entry: 'test/local/folder-program.ts' });
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true }));

function run(file: string, ...args: string[]): Promise<string> {
  return new Promise((resolve) =>
    execFile(file, args, { timeout: 60_000 }, (_error, stdout) => resolve(stdout.trim())),
  );
}

const here = (name: string) => join(dir, name);
const read = (state: string) => {
  const { definitions, ...pointers } = openLocalFolder(new NodeHost(), state).read();
  return JSON.stringify({ ...pointers, definitions: definitions.map(({ id }) => id) });
};

function filesIn(state: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(state, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(state.length + 1);
    if (entry.isFile() && name !== 'lock' && !name.startsWith('log/'))
      found[name] = `${(statSync(path).mode & 0o777).toString(8)} ${readFileSync(path, 'latin1')}`;
  }
  return found;
}

test('both runtimes leave the same files, and each reads what the other wrote', async () => {
  const [one, other] = [here('quickjs'), here('node')];
  const store = openLocalFolder(new NodeHost(), other, DISK);
  for (const [act, cluster, version] of [
    ['define', 1, 0],
    ['define', 2, 0],
    ['define', 1, 1],
    ['point', 2, 0],
    ['erase', 1, 0],
  ] as const) {
    const said = await run(program, one, act, String(cluster), String(version), DISK);
    if (act === 'define') store.define(definitionOf(cluster, version));
    else if (act === 'point') store.point({ current: uuid(cluster), target: null });
    else store.erase(uuid(cluster));
    expect(said).toBe(read(other));
    expect(filesIn(one)).toEqual(filesIn(other));
  }
  expect(await run(program, other)).toBe(read(one));
  expect(filesIn(other)['clusters/index.json']).toContain(`"disk": "${DISK}"`);
});

test.each([
  ['define', '1', '1'],
  ['erase', '1', '0'],
  ['point', '2', '0'],
])(
  'killed before any call of %s %s %s: the former content or the new one, no lock stays',
  async (...act) => {
    const before = here(`before-${act[0]}`);
    for (const cluster of ['1', '2']) await run(program, before, 'define', cluster, '0');
    const old = read(before);
    const whole = here(`whole-${act[0]}`);
    cpSync(before, whole, { recursive: true });
    const log = here('calls');
    const now = await run('strace', '-qq', '-e', `trace=${CALLS.join()}`, '-o', log, program, whole, ...act);
    expect(now).not.toBe(old);
    const calls = readFileSync(log, 'latin1').split('\n');
    const seen = { [old]: 0, [now]: 0 };
    for (const call of CALLS) {
      const count = calls.filter((line) => line.startsWith(`${call}(`)).length;
      for (let kill = 1; kill <= count; kill++) {
        const state = here('killed');
        cpSync(before, state, { recursive: true });
        const inject = `inject=${call}:signal=KILL:when=${kill}`;
        expect(
          await run(
            'strace',
            '-qq',
            '-e',
            `trace=${call}`,
            '-e',
            inject,
            '-o',
            '/dev/null',
            program,
            state,
            ...act,
          ),
        ).toBe('');
        const left = read(state);
        if (left in seen) seen[left]!++;
        else expect.fail(`killed before ${call} ${kill} leaves ${left}`);
        // The next one has the lock, and does it.
        if (kill % 5 === 1) expect(await run(program, state, ...act)).toBe(now);
        rmSync(state, { recursive: true });
      }
    }
    expect(seen[old]).toBeGreaterThan(4);
    expect(seen[now]).toBeGreaterThan(4);
  },
  120_000,
);
