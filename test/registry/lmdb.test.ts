import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';
import { registryContract } from '../contract/registry.ts';
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

test('a killed process loses nothing it was told is durable, and no transaction is there in part', async () => {
  const dir = await temporary();
  const program = await bundle('test/registry/committer.ts');
  const printed = new Set<number>();
  for (const [run, enough] of [30, 90, 200].entries()) {
    const child = spawn(process.execPath, [program, dir, String(run * 1_000_000)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
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
  await rm(dirname(program), { recursive: true });
});

test('what was reported durable had been synced: fdatasync, then the synchronous write that makes it count', async () => {
  const dir = await temporary();
  const program = await bundle('test/registry/committer.ts');
  const log = join(dir, 'calls');
  const calls = ['-f', '-y', '-qq', '-e', 'trace=openat,fdatasync,pwrite64,pwritev,write', '-o', log];
  const child = spawn('strace', [...calls, process.execPath, program, join(dir, 'registry'), '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
    // The traced program ends with its pipe.
    if (output.split('\n').length > 40) child.stdout.destroy();
  });
  await ended;

  const lines = (await readFile(log, 'utf8')).split('\n');
  const synchronous = lines.find((line) => /registry\.mdb".*O_DSYNC/.test(line))?.match(/= (\d+)</)?.[1];
  expect(synchronous).toBeDefined();
  // Four reports at most share a commit: the lanes of the committer.
  let covered = 0;
  let synced = false;
  let reports = 0;
  for (const line of lines) {
    if (/fdatasync\(\d+<.*registry\.mdb>\) += 0|fdatasync resumed.*= 0/.test(line)) synced = true;
    else if (new RegExp(`pwrite64\\(${synchronous}<`).test(line)) {
      if (synced) covered = 4;
      synced = false;
    } else if (/pwrite(64|v)\(\d+<.*registry\.mdb>/.test(line)) {
      // Data written after the last fdatasync is not covered by it.
      synced = false;
    } else if (/write\(1<.*, "\d+\\n"/.test(line)) {
      reports++;
      expect(covered, line).toBeGreaterThan(0);
      covered--;
    }
  }
  expect(reports).toBeGreaterThan(20);
  await rm(dirname(program), { recursive: true });
});
