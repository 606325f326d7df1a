/** Which checksums of files are kept: with a signal that is aborted no file is read. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Intact } from '../../imager/images/intact.ts';

const READS = new AbortController().signal;
const READS_NOT = AbortSignal.abort();

let dir: string;
let file: string;
let changed: number;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'intact-'));
  file = join(dir, 'initrd');
  await writeFile(file, 'an initrd');
  changed = Number((await stat(file)).ctimeMs);
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(dir, { recursive: true });
});

test('a file that was changed less than two seconds ago is read again: a change in the same tick would not be seen', async () => {
  const intact = new Intact();
  for (const age of [0, 1900]) {
    vi.setSystemTime(changed + age);
    const found = await intact.sha256(file, READS);
    expect(intact.known(file)).toBe(found);
    await expect(intact.sha256(file, READS_NOT)).rejects.toThrow(/abort/);
    // Nor later: what was read then may have been changed in the same tick.
    vi.setSystemTime(changed + 5000);
    await expect(intact.sha256(file, READS_NOT)).rejects.toThrow(/abort/);
  }
});

test.each([2001, 86_400_000, -86_400_000])(
  'one that was changed %i ms ago is not read again',
  async (age) => {
    const intact = new Intact();
    vi.setSystemTime(changed + age);
    const found = await intact.sha256(file, READS);
    expect(await intact.sha256(file, READS_NOT)).toBe(found);
    await writeFile(file, 'AN initrd');
    await expect(intact.sha256(file, READS_NOT)).rejects.toThrow(/abort/);
    expect(await intact.sha256(file, READS)).not.toBe(found);
  },
);

test('one that is being read is read once for all who come meanwhile', async () => {
  const intact = new Intact();
  await writeFile(file, Buffer.alloc(16 * 1024 * 1024, 'initrd'));
  vi.setSystemTime(Number((await stat(file)).ctimeMs));
  const first = intact.sha256(file, READS);
  await stat(file);
  expect(await intact.sha256(file, READS_NOT)).toBe(await first);
  await expect(intact.sha256(file, READS_NOT)).rejects.toThrow(/abort/);
});
