/** A disk that fills up: the kernel takes a part of a write without an error, the rest of it later or never. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { EventFiles } from '../../imager/journal/event-files.ts';

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const writeSync = (fd: number, text: string | Uint8Array, from = 0) => {
    const bytes = Buffer.from(text as string);
    return fs.writeSync(fd, bytes, from, Math.min(7, bytes.length - from));
  };
  return { ...fs, writeSync };
});

const dir = mkdtempSync(join(tmpdir(), 'short-write-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('what a write leaves over is written as well', async () => {
  const failed = vi.fn();
  const files = new EventFiles({ dir, name: 'nodes', fileBytes: 10_000, files: 2, failed });
  for (const id of [1, 2]) {
    files.append('n1', { id, at: id, component: 'dhcp', step: 'discover', detail: { file: 'ä' } });
    files.flush();
  }
  expect((await files.read('n1')).map(({ id }) => id)).toEqual([1, 2]);
  expect(failed).not.toHaveBeenCalled();
  await files.close();
});
