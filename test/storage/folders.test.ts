/** Which folders are made durable when one is made. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { makeFolder } from '../../imager/storage/durable.ts';
import { synced } from '../support/noted-syncs.ts';

vi.mock('node:fs', async () => (await import('../support/noted-syncs.ts')).notingSyncs());

let dir: string;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'folders-')));
  synced.length = 0;
});
afterEach(() => rmSync(dir, { recursive: true }));

test('the names of all folders that were made are durable, and no others are touched', () => {
  makeFolder(join(dir, 'state/bases'));
  expect(synced.sort()).toEqual([dir, join(dir, 'state')]);
  synced.length = 0;
  makeFolder(join(dir, 'state/disks'));
  expect(synced).toEqual([join(dir, 'state')]);
  makeFolder(join(dir, 'state/disks'));
  expect(synced).toHaveLength(1);
});
