/** A disk without room: what the journal says of itself while that lasts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, test, vi } from 'vitest';
import { Journal } from '../../imager/journal/journal.ts';

const disk = vi.hoisted(() => ({ full: false }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const writeSync = (fd: number, bytes: Uint8Array, from: number) => {
    if (disk.full)
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    return fs.writeSync(fd, bytes, from);
  };
  return { ...fs, writeSync };
});

const dir = mkdtempSync(join(tmpdir(), 'unwritten-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('what could not be written is a problem until something can be', async () => {
  const journal = new Journal({ dir, log: pino({ level: 'silent' }) });
  const discover = async (at: number) => {
    const event = { id: at, at, component: 'dhcp', step: 'discover' } as const;
    journal.take({ ...event, node: 'n1' });
    journal.take({ ...event, mac: '52:54:00:00:00:01' });
    await new Promise((resolve) => setImmediate(resolve));
  };
  await discover(1);
  expect(journal.problems()).toEqual([]);
  disk.full = true;
  await discover(2);
  expect(journal.problems()).toEqual([
    'boot journal not written, and what came is missing in it: ENOSPC: no space left on device, write',
  ]);
  disk.full = false;
  await discover(3);
  expect(journal.problems()).toEqual([]);
  await journal.close();
});
