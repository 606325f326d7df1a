/** Free places of an overlay's file: kept for who goes on writing, given back to the file system some seconds later. */
import { expect, test } from 'vitest';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { base, fresh, salt } from './overlays-in-memory.ts';
import type { VolatileFile } from './volatile-file.ts';

const BLOCKS = 3000;
/** 4 MiB: what is kept in any case. */
const KEPT = 1024;

function opened() {
  const file = fresh(BLOCKS);
  const timers: { ms: number; work: () => void }[] = [];
  const later = (ms: number, work: () => void): void => void timers.push({ ms, work });
  const disk = new Overlay('disk', OverlayStore.open(file, { name: 'disk', salt, warn() {}, later }), base);
  const rewrite = async (fill: number): Promise<void> => {
    for (let block = 0; block < BLOCKS; block += 100)
      await disk.write(new Uint8Array(100 * BLOCK_SIZE).fill(fill), block * BLOCK_SIZE);
    await disk.flush();
  };
  /** Runs what waits for a time to pass; gives those times. */
  const pass = (): number[] =>
    timers.splice(0).map(({ ms, work }) => {
      work();
      return ms;
    });
  return { file, disk, rewrite, pass };
}

/** Blocks that a file has space for, where none of its holes was written to. */
function spaceOf(file: VolatileFile): number {
  const size = file.size();
  const inside = file.holes.map(([from, length]) => Math.max(0, Math.min(size, from + length) - from));
  return (size - inside.reduce((sum, length) => sum + length, 0)) / BLOCK_SIZE;
}

test('who rewrites a disk finds the places that became free; some seconds after it ends they are given back', async () => {
  const { file, disk, rewrite, pass } = opened();
  await disk.store.settled();
  await rewrite(1);
  await rewrite(2);
  await disk.store.checkpoint();
  const size = file.size();
  expect(disk.store.places().free).toBeGreaterThan(BLOCKS - 50);
  expect(file.holes).toEqual([]);
  for (let fill = 3; fill < 7; fill++) {
    await rewrite(fill);
    await disk.store.checkpoint();
    expect(pass()).toEqual([30_000]);
  }
  expect(file.holes).toEqual([]);
  expect(file.size()).toBeLessThan(size + 100 * BLOCK_SIZE);
  // Nothing was written since.
  expect([pass(), pass()]).toEqual([[30_000], []]);
  const { used } = disk.store.places();
  expect(spaceOf(file)).toBeLessThan(used + KEPT);
  await disk.close();
  expect(spaceOf(file)).toBeLessThan(disk.store.places().used + 16);
});

test('what was freed without much being written goes back at once', async () => {
  const { file, disk, rewrite, pass } = opened();
  await rewrite(1);
  for (let i = 0; i < 3; i++) pass();
  await disk.trim(0, BLOCKS * BLOCK_SIZE);
  await disk.flush();
  await disk.store.checkpoint();
  expect(spaceOf(file)).toBeLessThan(disk.store.places().used + KEPT);
  expect(pass()).toEqual([]);
});

test('a closed disk is let be by the time it waited for', async () => {
  const { file, disk, rewrite, pass } = opened();
  await rewrite(1);
  await disk.store.checkpoint();
  await disk.close();
  const size = file.size();
  file.truncate = () => {
    throw new Error('closed');
  };
  pass();
  expect([pass(), file.size()]).toEqual([[], size]);
});
