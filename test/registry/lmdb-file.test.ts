import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LmdbRegistry } from '../../imager/registry/lmdb.ts';
import { bundle } from '../support/inside.ts';

const run = promisify(execFile);
let dir: string;
let good: Buffer;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'registry-file-'));
  const registry = await LmdbRegistry.open(dir);
  for (let n = 0; n < 100; n++)
    await registry.transact((tx) => tx.put(['n', String(n)], { text: 'x'.repeat(500) }));
  await registry.close();
  good = readFileSync(join(dir, 'registry.mdb'));
});
afterEach(() => rmSync(dir, { recursive: true }));

// In a process of its own: LMDB's answer to such files is a signal.
test('a file that is no registry, or was cut short, is refused in words', async () => {
  const program = await bundle('test/registry/opener.ts');
  const zeroed = Buffer.from(good).fill(0, 4096, 8192);
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(8192), /is no registry: it does not begin as one/],
    [Buffer.alloc(20_000, 7), /is no registry: it does not begin as one/],
    [good.subarray(0, 100), /is no registry: it does not begin as one/],
    [zeroed, /is no registry: it does not begin as one/],
    [good.subarray(0, 8192), /is no registry: it ends at byte 8192, .* cut short\. Put a copy in its place/],
    [good.subarray(0, good.length / 2), /it ends at byte \d+, before what it is to hold/],
    // All of it is there but the last pages: LMDB itself finds that out.
    [
      good.subarray(0, 4096 * Math.floor((0.97 * good.length) / 4096)),
      /corrupt|damaged|invalid|page|opened|cut short/i,
    ],
    [good, /^opened at 100 with 100\n$/],
    [Buffer.alloc(0), /^opened at 0 with 0\n$/],
  ];
  for (const [bytes, words] of cases) {
    writeFileSync(join(dir, 'registry.mdb'), bytes);
    rmSync(join(dir, 'registry.log'), { force: true });
    rmSync(join(dir, 'registry.mdb-lock'), { force: true });
    const { stdout } = await run(process.execPath, [program, dir]);
    expect(stdout).toMatch(words);
  }
});
