/** The embedded registry on a disk that is full, in earnest: LMDB and the log each come to its end. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundle } from '../support/inside.ts';
import { SmallDisk } from '../support/small-disk.ts';

let dir: string;
let disk: SmallDisk;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'registry-full-'));
  disk = await SmallDisk.over(dir, 1024 * 1024);
});
afterEach(async () => {
  await disk.close();
  rmSync(dir, { recursive: true });
});

test('nothing acknowledged is lost, nothing rejected is seen, and with room it goes on', async () => {
  const program = await bundle('test/registry/filler.ts');
  const filler = join(dir, 'filler');
  writeFileSync(join(disk.here, 'filler'), Buffer.alloc(600 * 1024, 1));
  const [command, ...words] = [...disk.enter, process.execPath, program, join(dir, 'registry'), filler];
  const { stdout, stderr } = await promisify(execFile)(command!, words);
  const { codes, full, roomy, reopened } = JSON.parse(stdout);
  // What npm lmdb says where LMDB finds no room.
  expect(stderr).toContain('Input/output error');
  expect(codes).toEqual(['ENOSPC']);
  expect(full).toEqual({ acknowledged: expect.any(Number), same: true });
  expect(full.acknowledged).toBeGreaterThan(50);
  expect(roomy).toEqual({ log: 8, same: true });
  expect(reopened).toBe(true);
}, 60_000);
