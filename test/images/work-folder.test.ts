import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clearWorkFolders, withWorkFolder } from '../../imager/images/work-folder.ts';

let dir: string;
let cache: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'work-'));
  cache = join(dir, 'state/cache');
});
afterEach(() => rmSync(dir, { recursive: true }));

test('a work folder is gone once its work is done, or failed', async () => {
  let used = '';
  const kept = await withWorkFolder(cache, async (folder) => {
    used = folder;
    writeFileSync(join(folder, 'file'), 'half');
    return readdirSync(cache).length;
  });
  expect(kept).toBe(1);
  expect(existsSync(used)).toBe(false);
  const failed = withWorkFolder(cache, async (folder) => {
    mkdirSync(join(folder, 'within'));
    throw new Error('no such package');
  });
  await expect(failed).rejects.toThrow('no such package');
  expect(readdirSync(cache)).toEqual([]);
});

test('what a killed build left goes; what another is at, and what is cached, stays', () => {
  clearWorkFolders(cache);
  const gone = String(execFileSync('sh', ['-c', 'echo $$'])).trim();
  for (const name of [`.new-${gone}-0`, `.new-${process.ppid}-0`, 'base-amd64.img'])
    mkdirSync(join(cache, name, 'within'), { recursive: true });
  clearWorkFolders(cache);
  // Its process may be one of another container: not yet.
  expect(readdirSync(cache)).toContain(`.new-${gone}-0`);
  const longAgo = Date.now() / 1000 - 2 * 3600;
  utimesSync(join(cache, `.new-${gone}-0`), longAgo, longAgo);
  clearWorkFolders(cache);
  expect(readdirSync(cache).sort()).toEqual([`.new-${process.ppid}-0`, 'base-amd64.img']);
});
