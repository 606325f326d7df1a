/** Flushes that nobody asked for: of a node that writes much and never flushes. */
import { expect, test } from 'vitest';
import { Flushes } from '../../imager/disks/flushes.ts';
import type { Journal } from '../../imager/disks/journal.ts';
import { Space } from '../../imager/disks/space.ts';
import { tick } from './overlays-in-memory.ts';
import { VolatileFile } from './volatile-file.ts';

const MIB = 2 ** 20;

test('512 MiB that were not flushed are, five seconds after the flush before at the earliest', async () => {
  const file = new VolatileFile(new Uint8Array(0));
  const mark = { lsn: 1, end: 0 };
  const journal: Pick<Journal, 'written' | 'takeWritten' | 'synced'> = {
    written: async () => undefined,
    takeWritten: () => ({ mark, released: [], changed: true }),
    synced: () => undefined,
  };
  let now = 1000;
  const flushes = new Flushes('disk', file, journal as Journal, new Space(10), () => now);
  const syncsAfter = async (time: number, bytes: number): Promise<number> => {
    now = time;
    flushes.noted(bytes);
    for (let i = 0; i < 5; i++) await tick();
    return file.syncs;
  };
  expect(await syncsAfter(1000, 512 * MIB)).toBe(0);
  expect(await syncsAfter(1001, 1)).toBe(1);
  expect(await syncsAfter(2000, 1000 * MIB)).toBe(1);
  expect(await syncsAfter(6000, 1)).toBe(1);
  expect(await syncsAfter(6001, 1)).toBe(2);
  expect(await syncsAfter(20_000, 512 * MIB)).toBe(2);
});
