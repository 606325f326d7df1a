/** The embedded registry's log: cut, damaged, without room, on a disk that fails. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, write, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';
import type { WriteBytes } from '../../imager/registry/log-file.ts';
import { decodeLog, LOG_MAGIC } from '../../imager/registry/log-record.ts';
import { bundle } from '../support/inside.ts';

/** All stays in the log. */
const NEVER = { quietMs: 2 ** 30, bytes: 2 ** 30 };

let top: string;
let dir: string;
let log: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'registry-log-'));
  dir = join(top, 'registry');
  log = join(dir, 'registry.log');
});
afterEach(() => rmSync(top, { recursive: true }));

/** Where the last record ends: behind it are zeroes. */
function endOf(file = log): number {
  return decodeLog(readFileSync(file)).end;
}

/** What a machine would find that lost its power now. */
function crash(): void {
  cpSync(dir, join(top, 'crashed'), { recursive: true });
}

async function reopened(folder = dir, limits = NEVER): Promise<{ range: unknown; revision: number }> {
  const registry = await LmdbRegistry.open(folder, limits);
  const seen = { range: registry.range([]), revision: registry.revision() };
  await registry.close();
  return seen;
}

test('of a log cut at any byte all that was acknowledged before that byte is there, and nothing in part', async () => {
  const registry = await LmdbRegistry.open(dir, NEVER);
  /** Length of the log when each state was acknowledged. */
  const states = [{ length: endOf(), range: [] as unknown, revision: 0 }];
  for (const work of [
    () => registry.transact((tx) => tx.put(['a'], 1)),
    () => Promise.all([1, 2].map((n) => registry.transact((tx) => tx.put(['both', String(n)], 'x')))),
    () =>
      registry.transact((tx) => {
        tx.put(['b'], [new Uint8Array([1])]);
        tx.delete(['a']);
      }),
    () => registry.transact((tx) => tx.put(['b'], 2)),
  ]) {
    await work();
    states.push({ length: endOf(), range: registry.range([]), revision: registry.revision() });
  }
  crash();
  await registry.close();
  const whole = readFileSync(join(top, 'crashed', 'registry.log'));
  const { length: last } = states.at(-1)!;
  expect(whole.length).toBeGreaterThan(last);
  expect(whole.subarray(last).every((byte) => byte === 0)).toBe(true);
  for (let length = 0; length <= last; length++)
    // A file that was made longer with its record, or one whose record went over zeroes.
    for (const behind of length < states[0]!.length ? [0] : [0, whole.length - length]) {
      const folder = join(top, 'cut');
      cpSync(join(top, 'crashed'), folder, { recursive: true });
      writeFileSync(
        join(folder, 'registry.log'),
        Buffer.concat([whole.subarray(0, length)], length + behind),
      );
      // The zeroes may be the last bytes of a record.
      let found = Math.max(length, states[0]!.length);
      if (behind > 0) while (found < last && whole[found] === 0) found++;
      const { range, revision } = states.findLast((state) => state.length <= found)!;
      const name = `cut at ${length}, ${behind} zeroes behind`;
      expect(await reopened(folder), name).toEqual({ range, revision });
      if (behind === 0)
        expect(await reopened(folder), `${name}, the second time`).toEqual({ range, revision });
      rmSync(folder, { recursive: true });
    }
});

test('where there is no room for zeroes there may be for the record', async () => {
  let longest = 0;
  const registry = await LmdbRegistry.open(
    dir,
    NEVER,
    faulty((bytes) => {
      longest = Math.max(longest, bytes.length);
      return bytes.length >= 4000 ? 'ENOSPC' : undefined;
    }),
  );
  for (let n = 1; n <= 3; n++) {
    await registry.transact((tx) => tx.put(['a'], n));
    expect(statSync(log).size).toBe(endOf());
  }
  expect(longest).toBeGreaterThan(4000);
  crash();
  await registry.close();
  expect(await reopened(join(top, 'crashed'))).toMatchObject({ range: [{ value: 3 }], revision: 3 });
});

test('a commit without room is a problem until one has room', async () => {
  let full = false;
  const write = faulty(() => (full ? 'ENOSPC' : undefined));
  const registry = await LmdbRegistry.open(dir, NEVER, write);
  await registry.transact((tx) => tx.put(['a'], 1));
  expect(registry.problems()).toEqual([]);
  full = true;
  const words = 'x'.repeat(9000);
  await expect(registry.transact((tx) => tx.put(['a'], words))).rejects.toThrow('ENOSPC');
  // Who reads alone learns nothing of the disk.
  await registry.transact((tx) => tx.get(['a']));
  expect(registry.problems()).toEqual([expect.stringMatching(/^registry not written, .*ENOSPC/)]);
  full = false;
  await registry.transact((tx) => tx.put(['a'], words));
  expect(registry.problems()).toEqual([]);
  await registry.close();
});

test('a damaged record in the middle is an error that names file and place, and nothing is changed', async () => {
  const registry = await LmdbRegistry.open(dir, NEVER);
  await registry.transact((tx) => tx.put(['a'], 'first'));
  const at = endOf();
  await registry.transact((tx) => tx.put(['a'], 'second'));
  await registry.transact((tx) => tx.put(['a'], 'third'));
  crash();
  await registry.close();
  const damaged = join(top, 'crashed', 'registry.log');
  const bytes = readFileSync(damaged);
  bytes[at + 15]! ^= 4;
  writeFileSync(damaged, bytes);
  await expect(LmdbRegistry.open(join(top, 'crashed'))).rejects.toThrow(
    `${damaged} is no log of a registry, at byte ${at}: a record is damaged, and others come behind it`,
  );
  expect(readFileSync(damaged)).toEqual(bytes);
});

test('a log that begins behind the tree is refused', async () => {
  const first = await LmdbRegistry.open(dir, NEVER);
  await first.transact((tx) => tx.put(['a'], 1));
  await first.close();
  const second = await LmdbRegistry.open(dir, NEVER);
  await second.transact((tx) => tx.put(['b'], 1));
  crash();
  await second.close();
  rmSync(join(top, 'crashed', 'registry.mdb'));
  await expect(LmdbRegistry.open(join(top, 'crashed'))).rejects.toThrow(
    /registry\.log begins at revision 2, registry\.mdb ends at 0: they do not belong together/,
  );
});

test('what is in LMDB already is passed over, whatever is left of the log', async () => {
  const registry = await LmdbRegistry.open(dir, NEVER);
  await registry.transact((tx) => tx.put(['a'], 1));
  await registry.transact((tx) => tx.put(['a'], 2));
  const old = readFileSync(log);
  const end = endOf();
  await registry.close();
  const seen = await reopened();
  for (const length of [8, 20, end - 3, end, old.length]) {
    writeFileSync(log, old.subarray(0, length));
    expect(await reopened()).toEqual(seen);
    writeFileSync(log, old.subarray(0, length));
    const next = await LmdbRegistry.open(dir, NEVER);
    await next.transact((tx) => tx.put(['a'], 2));
    crash();
    await next.close();
    const found = await reopened(join(top, 'crashed'));
    expect(found.revision).toBe(seen.revision + 1);
    rmSync(join(top, 'crashed'), { recursive: true });
    seen.range = found.range;
    seen.revision = found.revision;
  }
});

test('the log goes to LMDB when it is quiet, and begins anew', async () => {
  const registry = await LmdbRegistry.open(dir, { quietMs: 1, bytes: 2 ** 30 });
  const empty = statSync(log).size;
  await registry.transact((tx) => tx.put(['a'], 'x'.repeat(100)));
  await expect.poll(() => statSync(log).size).toBe(empty);
  expect(registry.get(['a'])).toBe('x'.repeat(100));
  await registry.transact((tx) => tx.delete(['a']));
  expect(registry.range([])).toEqual([]);
  await registry.close();
  expect(await reopened()).toEqual({ range: [], revision: 2 });
});

test('commits go on while a long log goes to LMDB, and reads see all of them', async () => {
  const registry = await LmdbRegistry.open(dir, { quietMs: 5, bytes: 30_000 });
  const expected = new Map<string, number>();
  for (let n = 0; n < 300; n++) {
    const work = Array.from({ length: 10 }, (_, i) => String((n * 7 + i * 13) % 500));
    await registry.transact((tx) => {
      for (const key of work)
        if (n % 5 === 4) tx.delete(['k', key]);
        else tx.put(['k', key], n);
    });
    for (const key of work) {
      if (n % 5 === 4) expected.delete(key);
      else expected.set(key, n);
      expect(registry.get(['k', key])).toBe(expected.get(key));
    }
    if (n % 20 === 0)
      expect(new Map(registry.range<number>(['k']).map((e) => [e.key[1]!, e.value]))).toEqual(expected);
  }
  await registry.close();
  const { range } = await reopened();
  expect(new Map((range as { key: string[]; value: number }[]).map((e) => [e.key[1]!, e.value]))).toEqual(
    expected,
  );
});

test('what was committed while LMDB got the rest is there as well after an orderly end', async () => {
  const registry = await LmdbRegistry.open(dir, { quietMs: 2 ** 30, bytes: 1 });
  await registry.transact((tx) => {
    for (let n = 0; n < 5000; n++) tx.put(['n', String(n)], 'x'.repeat(200));
  });
  await registry.transact((tx) => tx.put(['a'], 1));
  await registry.close();
  expect(statSync(log).size).toBe(LOG_MAGIC.length);
  expect(await reopened()).toMatchObject({ revision: 2 });
});

/** Writes as the disk does, but where `fault` says what is wrong: then half of the bytes get there. */
function faulty(fault: (bytes: Uint8Array) => string | undefined): WriteBytes {
  return (fd, bytes, at, done) => {
    const code = fault(bytes);
    if (code === undefined) write(fd, bytes, 0, bytes.length, at, done);
    else
      write(fd, bytes, 0, bytes.length >> 1, at, () =>
        done(Object.assign(new Error(`${code}: as the test has it`), { code }), 0),
      );
  };
}

test('behind a large group the next one gathers what comes in four milliseconds; behind a small one it waits for nothing', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    let records = 0;
    const registry = await LmdbRegistry.open(dir, NEVER, (fd, bytes, at, done) => {
      records++;
      write(fd, bytes, 0, bytes.length, at, done);
    });
    const put = (count: number) =>
      registry.transact((tx) => {
        for (let n = 0; n < count; n++) tx.put(['n', String(n)], n);
      });
    records = 0;
    await put(7);
    await put(1);
    await put(8);
    expect(records).toBe(3);
    const gathered: Promise<void>[] = [];
    for (let turn = 0; turn < 5; turn++) {
      gathered.push(put(1));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    expect(records).toBe(3);
    vi.advanceTimersByTime(3);
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(records).toBe(3);
    vi.advanceTimersByTime(1);
    await Promise.all(gathered);
    expect(records).toBe(4);
    vi.advanceTimersByTime(4);
    vi.useRealTimers();
    await registry.close();
  } finally {
    vi.useRealTimers();
  }
});

test('without room a transaction is rejected and nothing of it is seen; with room the next ones work', async () => {
  let fault: string | undefined;
  const registry = await LmdbRegistry.open(
    dir,
    NEVER,
    faulty(() => fault),
  );
  await registry.transact((tx) => tx.put(['a'], 1));
  const length = endOf();
  const heard: unknown[] = [];
  registry.watch([], (change) => heard.push(change));
  fault = 'ENOSPC';
  const both = await Promise.allSettled([
    registry.transact((tx) => tx.put(['a'], 'long '.repeat(100))),
    registry.transact((tx) => tx.put(['b'], tx.get(['a']))),
  ]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(registry.range([])).toEqual([{ key: ['a'], value: 1, revision: 1 }]);
  expect(registry.revision()).toBe(1);
  expect(heard).toEqual([]);
  expect(statSync(log).size).toBe(length);
  expect(await registry.transact((tx) => tx.get(['a']))).toBe(1);
  fault = undefined;
  await registry.transact((tx) => tx.put(['b'], 2));
  crash();
  await registry.close();
  const seen = {
    range: [
      { key: ['a'], value: 1, revision: 1 },
      { key: ['b'], value: 2, revision: 2 },
    ],
    revision: 2,
  };
  expect(await reopened(join(top, 'crashed'))).toEqual(seen);
  expect(await reopened()).toEqual(seen);
});

test('without room for a new log the old one goes on', async () => {
  let fault: string | undefined;
  const registry = await LmdbRegistry.open(
    dir,
    { quietMs: 1, bytes: 1 },
    faulty(() => fault),
  );
  await registry.transact((tx) => tx.put(['a'], 1));
  fault = 'ENOSPC';
  await expect(registry.transact((tx) => tx.put(['b'], 1))).rejects.toThrow('ENOSPC');
  fault = undefined;
  for (let n = 2; n < 20; n++) await registry.transact((tx) => tx.put(['b'], n));
  await registry.close();
  expect(await reopened()).toMatchObject({ range: [{ value: 1 }, { value: 19 }], revision: 19 });
});

test('without a file descriptor for a new log the old one goes on', async () => {
  const program = await bundle('test/registry/starved.ts');
  for (const left of [0, 1, 2]) {
    const words = `ulimit -n 64; exec ${process.execPath} ${program} ${join(top, String(left))} ${left}`;
    const { stdout } = await promisify(execFile)('sh', ['-c', words]);
    expect(JSON.parse(stdout), `${left} left`).toEqual({ rejected: [], value: 3, revision: 3 });
  }
});

test('a disk that failed is final: nothing is committed any more, what was durable is read and found again', async () => {
  let fault: string | undefined;
  const registry = await LmdbRegistry.open(
    dir,
    NEVER,
    faulty(() => fault),
  );
  await registry.transact((tx) => tx.put(['a'], 1));
  fault = 'EIO';
  await expect(registry.transact((tx) => tx.put(['a'], 2))).rejects.toThrow(/log cannot be written: EIO/);
  fault = undefined;
  await expect(registry.transact((tx) => tx.put(['a'], 3))).rejects.toThrow(/log cannot be written: EIO/);
  expect(registry.get(['a'])).toBe(1);
  await registry.close();
  expect(await reopened()).toEqual({ range: [{ key: ['a'], value: 1, revision: 1 }], revision: 1 });
});
