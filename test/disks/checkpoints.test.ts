/** When checkpoints are made, what they give back, and what keeps them from it. */
import { expect, test } from 'vitest';
import { DiskError } from '../../imager/disks/disk.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { drop, snapshot } from '../../imager/disks/generations.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import {
  BLOCKS,
  base,
  byteOf,
  fresh,
  killed,
  open,
  opened,
  salt,
  tick,
  write,
} from './overlays-in-memory.ts';
import { VolatileFile } from './volatile-file.ts';

test('a damaged map of one generation keeps nobody from checkpoints; without that generation space is free again', async () => {
  let file = fresh();
  let disk = await opened(file);
  await write(disk, 0, 1);
  const { id, root } = await snapshot(disk.store, 'one', 1);
  await write(disk, 0, 2);
  await disk.close();
  const content = file.content();
  content[root.place * BLOCK_SIZE + 5]! ^= 1;
  file = new VolatileFile(content);
  disk = await opened(file);
  expect(disk.store.places().blind).toBe(true);
  const { sequence } = disk.store.superblock;
  await write(disk, 1, 3);
  await disk.close();
  disk = await opened(killed(file));
  expect(disk.store.superblock.sequence).toBeGreaterThan(sequence);
  expect([await byteOf(disk, 0), await byteOf(disk, 1)]).toEqual([2, 3]);
  await drop(disk.store, id);
  expect(disk.store.places().blind).toBe(false);
  for (let i = 0; i < 3; i++) {
    await write(disk, 0, i);
    await disk.flush();
  }
  expect(disk.store.places().free).toBeGreaterThan(0);
});

test('what is trimmed while free places are looked for is free after the next flush', async () => {
  let file = fresh();
  let disk = await opened(file);
  for (let block = 0; block < BLOCKS; block++) await write(disk, block, 1);
  await disk.close();
  file = killed(file);
  let go = (): void => {};
  file.syncGate = new Promise((resolve) => {
    go = resolve;
  });
  disk = open(file);
  const scanned = disk.store.settled();
  // The last it does is a sync.
  while (file.syncs === 0) await tick();
  await disk.trim(0, BLOCKS * BLOCK_SIZE);
  go();
  await scanned;
  const { used } = disk.store.places();
  await disk.flush();
  expect(disk.store.places().used).toBe(used - BLOCKS);
});

test('what a checkpoint has written leaves memory', async () => {
  const leaves = 1200;
  const disk = await opened(fresh(leaves * 512));
  for (let leaf = 0; leaf < leaves; leaf++) await disk.trim(leaf * 512 * BLOCK_SIZE, BLOCK_SIZE);
  expect(disk.store.tree.memory).toBeGreaterThanOrEqual(leaves * BLOCK_SIZE);
  await disk.store.checkpoint();
  // The leaves, and four pages above them.
  expect(disk.store.tree.memory).toBeLessThanOrEqual((1024 + 4) * BLOCK_SIZE);
  const { zero } = disk.store.tree.counts();
  expect([disk.store.tree.leaf(0)[0], disk.store.tree.leaf(leaves - 1)[0], zero]).toEqual([1, 1, leaves]);
});

test('writes wait for a checkpoint that the journal has outgrown', async () => {
  const file = fresh(4096);
  const disk = await opened(file);
  let released = (): void => {};
  file.writeGate = new Promise((resolve) => {
    released = resolve;
  });
  await write(disk, 0, 1);
  const checkpoint = disk.store.checkpoint();
  let waiting: Promise<void> | undefined;
  for (let round = 0; round < 2000 && waiting === undefined; round++) {
    const calls = Array.from({ length: 700 }, (_, i) => disk.trim(2 * i * BLOCK_SIZE, BLOCK_SIZE));
    let done = false;
    const all = Promise.all(calls).then(() => {
      done = true;
    });
    for (let i = 0; i < 3 && !done; i++) await tick();
    if (!done) waiting = all;
  }
  expect(waiting).toBeDefined();
  released();
  await waiting;
  await checkpoint;
  await write(disk, 1, 2);
  expect([await byteOf(disk, 0), await byteOf(disk, 1)]).toEqual([0, 2]);
});

test('a scan that failed is tried again with a write a minute later, then after two more', async () => {
  let file = fresh();
  let disk = await opened(file);
  await snapshot(disk.store, 'one', 1);
  for (let block = 0; block < BLOCKS; block++) await write(disk, block, 1);
  const { root } = await snapshot(disk.store, 'two', 1);
  await disk.trim(0, BLOCKS * BLOCK_SIZE);
  await disk.close();
  file = killed(file);
  let unreadable = true;
  const readNow = file.readNow.bind(file);
  file.readNow = (target, offset) => {
    if (unreadable && offset === root.place * BLOCK_SIZE) throw new DiskError('EIO', 'unreadable');
    readNow(target, offset);
  };
  let now = 0;
  const warnings: string[] = [];
  const warn = (message: string): void => {
    warnings.push(message);
  };
  disk = new Overlay('disk', OverlayStore.open(file, { name: 'disk', salt, warn, now: () => now }), base);
  const { store } = disk;
  const scansAfter = async (time: number): Promise<number> => {
    now = time;
    await write(disk, 0, 2);
    await write(disk, 1, 2);
    await store.settled();
    return warnings.length;
  };
  await store.settled();
  expect([warnings, store.places().blind]).toEqual([['free space cannot be told'], true]);
  expect(await scansAfter(59_999)).toBe(1);
  expect(await scansAfter(60_000)).toBe(2);
  expect(await scansAfter(179_999)).toBe(2);
  unreadable = false;
  expect(await scansAfter(180_000)).toBe(3);
  expect([warnings[2], store.places().blind]).toEqual(['free space can be told again', false]);
  expect(await scansAfter(1e9)).toBe(3);
  const { used } = store.places();
  for (let i = 0; i < 10; i++) {
    await write(disk, 0, i);
    await disk.flush();
  }
  expect(store.places().used).toBeLessThan(used + 5);
  await disk.close();
});
