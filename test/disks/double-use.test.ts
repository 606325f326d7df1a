/** A place of the file is one thing's at a time, also after something failed, or got lost. */
import { expect, test } from 'vitest';
import { check } from '../../imager/disks/check.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { drop, grow, snapshot } from '../../imager/disks/generations.ts';
import type { Overlay } from '../../imager/disks/overlay.ts';
import { failing, fresh, opened } from './overlays-in-memory.ts';
import { VolatileFile } from './volatile-file.ts';

let blocks = 0;

/** Writes what no other block has. */
function writeUnique(disk: Overlay, block: number): Promise<void> {
  const words = new Uint32Array(BLOCK_SIZE / 4).fill(++blocks);
  return disk.write(new Uint8Array(words.buffer), block * BLOCK_SIZE);
}

test('a page of a checkpoint that came to nothing is free once, where a scan follows', async () => {
  const file = fresh(500);
  const disk = await opened(file);
  for (let block = 0; block < 20; block++) await writeUnique(disk, block);
  const { id } = await snapshot(disk.store, 'one', 0);
  await writeUnique(disk, 0);
  // There is no space for the checkpoint that comes between the drop's own and its scan.
  let full = true;
  failing(file, () => full && disk.store.generations.length === 0);
  const dropped = drop(disk.store, id);
  await expect(grow(disk.store, 1000 * BLOCK_SIZE)).rejects.toThrow('no space');
  await dropped;
  full = false;
  let block = 20;
  while (disk.store.places().free > 0) await writeUnique(disk, block++);
  await disk.store.checkpoint();
  while (disk.store.places().free > 0) await writeUnique(disk, block++);
  await disk.close();
  expect((await check(file, () => {})).damages).toEqual([]);
});

test('of a file that lost its end, what was there is not where new blocks are: they stay when it is replaced', async () => {
  const whole = fresh(1000);
  let disk = await opened(whole);
  for (let block = 0; block < 200; block++) await writeUnique(disk, block);
  await disk.store.checkpoint();
  for (let block = 700; block < 750; block++) await writeUnique(disk, block);
  await disk.trim(0, 150 * BLOCK_SIZE);
  await disk.flush();
  // Pages and the journal go to where the trimmed blocks were.
  await disk.store.checkpoint();
  await disk.store.checkpoint();
  await disk.close();
  const last = disk.store.tree.leaf(1)[2 * (749 - 512)]!;
  expect((last + 1) * BLOCK_SIZE).toBe(whole.size());
  const file = new VolatileFile(whole.content().subarray(0, (last - 15) * BLOCK_SIZE));
  disk = await opened(file);
  for (let block = 200; block < 500; block++) await writeUnique(disk, block);
  await disk.flush();
  for (let block = 734; block < 750; block++) await writeUnique(disk, block);
  await disk.flush();
  for (let block = 500; block < 700; block++) await writeUnique(disk, block);
  await disk.close();
  expect((await check(file, () => {})).damages).toEqual([]);
});
