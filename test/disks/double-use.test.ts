/** A place of the file is one thing's at a time, also after something failed, or got lost. */
import { expect, test } from 'vitest';
import { check } from '../../imager/disks/check.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { drop, grow, snapshot } from '../../imager/disks/generations.ts';
import type { Overlay } from '../../imager/disks/overlay.ts';
import { failing, fresh, opened } from './overlays-in-memory.ts';

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
