/** The log as a file, without the registry above it. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogFile } from '../../imager/registry/log-file.ts';
import { decodeLog, encodeGroup } from '../../imager/registry/log-record.ts';

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'log-file-'));
  file = join(dir, 'registry.log');
});
afterEach(() => rmSync(dir, { recursive: true }));

const record = (revision: number, value: unknown): Uint8Array =>
  encodeGroup(revision, [[{ written: 'a\0', stored: { value, revision } }]]);

test('records go over zeroes that are there: the file seldom gets longer, and never twice as long as they are', async () => {
  const { log } = await LogFile.open(dir);
  const sizes = new Set<number>();
  for (let n = 1; n <= 200; n++) {
    await log.append(record(n, 'x'.repeat(300)));
    const { size } = statSync(file);
    sizes.add(size);
    expect(size).toBeLessThan(2 * log.end + 4096);
  }
  expect(log.end).toBeGreaterThan(60_000);
  expect(sizes.size).toBeLessThan(10);
  const { groups, end } = decodeLog(readFileSync(file));
  expect([groups.length, end]).toEqual([200, log.end]);
  await log.close();
});

test('what there is of a torn record is gone before a shorter one goes over it', async () => {
  const { log } = await LogFile.open(dir);
  await log.append(record(1, 'first'));
  const { end } = log;
  // Longer than the zeroes that a short record brings.
  await log.append(record(2, 'x'.repeat(30_000)));
  await log.close();
  writeFileSync(file, readFileSync(file).fill(0, end + 500, end + 1000));
  const again = await LogFile.open(dir);
  expect([again.groups.length, again.log.end]).toEqual([1, end]);
  await again.log.append(record(2, 'second'));
  await again.log.close();
  const bytes = readFileSync(file);
  const { groups, end: last } = decodeLog(bytes);
  expect(groups.map(({ first }) => first)).toEqual([1, 2]);
  expect(bytes.subarray(last).every((byte) => byte === 0)).toBe(true);
});
