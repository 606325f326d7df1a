import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';
import { registryContract } from '../contract/registry.ts';
import { endsWithTest } from '../support/ends-with-test.ts';
import { bundle } from '../support/inside.ts';

const made: string[] = [];
async function temporary(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-'));
  made.push(dir);
  return dir;
}
afterEach(async () => {
  for (const dir of made.splice(0)) await rm(dir, { recursive: true });
});

registryContract('LmdbRegistry', async () => LmdbRegistry.open(await temporary()));
registryContract('LmdbRegistry, each commit at once to LMDB,', async () =>
  LmdbRegistry.open(await temporary(), { quietMs: 1, bytes: 1 }),
);

test('entries and revision survive closing and opening', async () => {
  const dir = join(await temporary(), 'made', 'by-open');
  const first = await LmdbRegistry.open(dir);
  await first.transact((tx) => tx.put(['a'], { bytes: new Uint8Array([1, 2]) }));
  await first.transact((tx) => tx.put(['b'], 'x'));
  await first.close();
  const second = await LmdbRegistry.open(dir);
  expect(second.range([])).toEqual([
    { key: ['a'], value: { bytes: new Uint8Array([1, 2]) }, revision: 1 },
    { key: ['b'], value: 'x', revision: 2 },
  ]);
  await second.transact((tx) => tx.delete(['a']));
  expect(second.revision()).toBe(3);
  await second.close();
});

test('the map grows with what is stored', async () => {
  const registry = await LmdbRegistry.open(await temporary());
  const block = new Uint8Array(64 * 1024).fill(7);
  for (let n = 0; n < 64; n++) await registry.transact((tx) => tx.put(['block', String(n)], block));
  expect(registry.range(['block'])).toHaveLength(64);
  await registry.close();
});

test.each([
  ['which goes to LMDB now and then', []],
  ['which goes to LMDB all the time', ['1']],
])(
  'a killed process loses nothing that is durable, and has none in part, with a log %s',
  async (_, limit) => {
    const dir = await temporary();
    const program = await bundle('test/registry/committer.ts');
    const printed = new Set<number>();
    for (const [run, enough] of [30, 90, 200].entries()) {
      const child = endsWithTest(
        spawn(process.execPath, [program, dir, String(run * 1_000_000), ...limit], {
          stdio: ['ignore', 'pipe', 'inherit'],
        }),
      );
      let output = '';
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.stdout.on('data', (chunk) => {
        output += chunk;
        if (output.split('\n').length > enough) child.kill('SIGKILL');
      });
      await ended;
      const lines = output.slice(0, output.lastIndexOf('\n')).split('\n');
      expect(lines.length).toBeGreaterThan(enough - 1);
      for (const line of lines) if (!line.startsWith('ready')) printed.add(Number(line));

      const registry = await LmdbRegistry.open(dir);
      const stored = new Map(registry.range<{ n: number }>(['n']).map((e) => [e.value.n, e.revision]));
      const doubles = new Map(registry.range<number>(['double']).map((e) => [e.value / 2, e.revision]));
      expect([...printed].filter((n) => !stored.has(n))).toEqual([]);
      expect(doubles).toEqual(stored);
      expect(registry.revision()).toBeGreaterThanOrEqual(Math.max(...stored.values()));
      await registry.close();
    }
  },
);

test('what was reported durable had been written synchronously, and a log gave way to LMDB once that was synced', async () => {
  const dir = await temporary();
  const program = await bundle('test/registry/committer.ts');
  const log = join(dir, 'calls');
  const calls = ['-f', '-y', '-qq', '-e', 'trace=openat,fdatasync,pwrite64,write,rename', '-o', log];
  const child = endsWithTest(
    spawn('strace', [...calls, process.execPath, program, join(dir, 'registry'), '0', '20000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const ended = new Promise((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
    // The traced program ends with its pipe.
    if (output.split('\n').length > 120) child.stdout.destroy();
  });
  await ended;

  // Four reports at most share a record: the lanes of the committer.
  let covered = 0;
  let synced = true;
  const counts = { reports: 0, renames: 0 };
  /** Threads whose write to the log, or sync of LMDB, has not returned. */
  const writing = new Set<string>();
  const syncing = new Set<string>();
  for (const line of (await readFile(log, 'utf8')).split('\n')) {
    const thread = line.split(' ')[0]!;
    if (/openat\(.*registry\.log.*O_RDWR/.test(line)) expect(line).toContain('O_DSYNC');
    else if (/ pwrite64\(\d+<[^>]*registry\.log/.test(line)) {
      if (/<unfinished/.test(line)) writing.add(thread);
      else covered = 4;
    } else if (/ pwrite64 resumed/.test(line) && writing.delete(thread)) covered = 4;
    else if (/ fdatasync\(\d+<[^>]*registry\.mdb/.test(line)) {
      if (/<unfinished/.test(line)) syncing.add(thread);
      else synced = true;
    } else if (/ fdatasync resumed/.test(line) && syncing.delete(thread)) synced = true;
    else if (/ rename\(/.test(line)) {
      expect(synced || counts.renames === 0, line).toBe(true);
      synced = false;
      counts.renames++;
    } else if (/write\(1<.*, "\d+\\n"/.test(line)) {
      counts.reports++;
      expect(covered, line).toBeGreaterThan(0);
      covered--;
    }
  }
  expect(counts.reports).toBeGreaterThan(60);
  expect(counts.renames).toBeGreaterThan(1);
});
