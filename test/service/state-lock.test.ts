/** The state folder is made for good. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { lockState } from '../../imager/service/state-lock.ts';
import { synced } from '../support/noted-syncs.ts';

vi.mock('node:fs', async () => (await import('../support/noted-syncs.ts')).notingSyncs());

test('a state folder that is made has a name that a power cut leaves', () => {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'state-lock-')));
  try {
    lockState(join(dir, 'lab/state')).release();
    expect(synced.sort()).toEqual([dir, join(dir, 'lab')]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
