/** What goes wrong in the middle of something: writes and syncs that fail, power cut, kills; nothing may be lost by it. */
import { expect, test } from 'vitest';
import { DiskError } from '../../imager/disks/disk.ts';
import { BLOCK_SIZE, SUPERBLOCK_PLACES } from '../../imager/disks/format.ts';
import { grow, snapshot } from '../../imager/disks/generations.ts';
import { SEGMENT_PLACES } from '../../imager/disks/journal-segments.ts';
import {
  BLOCKS,
  byteOf,
  failing,
  fresh,
  killed,
  open,
  opened,
  tick,
  unpowered,
  write,
} from './overlays-in-memory.ts';

test('what was trimmed at the end of the file is cut off, though the journal names it: the disk opens', async () => {
  let file = fresh();
  let disk = await opened(file);
  await write(disk, 0, 1);
  await disk.trim(0, BLOCK_SIZE);
  await disk.flush();
  file = killed(file);
  disk = await opened(file);
  for (let i = 0; i < 20; i++) await tick();
  // The process that cuts it off is killed, too.
  disk = await opened(killed(file));
  expect(await byteOf(disk, 0)).toBe(0);
});

test('a link of the journal came to the drive, its segment did not: nothing else is put there', async () => {
  const file = fresh();
  const disk = await opened(file);
  await write(disk, 0, 7);
  await disk.flush();
  for (let i = 0; i < 5; i++) await tick();
  const checkpoint = disk.store.checkpoint();
  for (let i = 0; i < 3; i++) await Promise.resolve();
  // The segment's zeroes are one long write, the link a short one.
  const after = file.afterPowerCut((units) => (units > 1000 ? 0 : units), 1);
  expect(after.size()).toBeLessThan(file.size());
  await checkpoint;
  const next = await opened(after);
  expect(await byteOf(next, 0)).toBe(7);
  await write(next, 3, 9);
  await write(next, 4, 10);
  await next.flush();
  for (const each of [next, open(unpowered(after))])
    expect([await byteOf(each, 0), await byteOf(each, 3), await byteOf(each, 4)]).toEqual([7, 9, 10]);
});

test('a snapshot that fails leaves the table of generations what it was, and where', async () => {
  const file = fresh(200);
  const disk = await opened(file);
  await write(disk, 0, 1);
  await snapshot(disk.store, 'one', 1);
  let full = true;
  failing(file, () => full);
  await write(disk, 1, 2);
  await expect(snapshot(disk.store, 'two', 2)).rejects.toThrow('no space left');
  full = false;
  await disk.store.checkpoint();
  for (let block = 0; block < 200; block++) await write(disk, block, block);
  await disk.flush();
  const next = open(killed(file));
  expect(next.store.generations.map(({ label }) => label)).toEqual(['one']);
});

test('snapshots that fail take no space', async () => {
  const file = fresh();
  const disk = await opened(file);
  for (let block = 0; block < BLOCKS; block++) await write(disk, block, 1);
  await disk.store.checkpoint();
  const { used } = disk.store.places();
  let full = true;
  failing(file, () => full);
  for (let i = 0; i < 5; i++) {
    const snapped = snapshot(disk.store, 'no', 3);
    await write(disk, i, 2);
    await expect(snapped).rejects.toThrow('no space left');
  }
  full = false;
  for (let round = 0; round < 2; round++) {
    for (let block = 0; block < BLOCKS; block++) await write(disk, block, 3);
    await disk.flush();
    await disk.store.checkpoint();
  }
  // The journal may have one segment more in hand.
  expect(disk.store.places().used).toBeLessThanOrEqual(used + SEGMENT_PLACES);
  await disk.store.rescan();
  const known = disk.store.places().used;
  for (let round = 0; round < 2; round++) {
    for (let block = 0; block < BLOCKS; block++) await write(disk, block, 4);
    await disk.flush();
  }
  expect(disk.store.places().used).toBe(known);
});

test('a disk that cannot grow is what it was, and takes no writes behind its end', async () => {
  // One level of the map becomes two, and none becomes more.
  for (const [blocks, grown] of [
    [500, 600],
    [20, 40],
  ] as const)
    for (const what of ['journal', 'pages'] as const) {
      let file = fresh(blocks);
      let disk = await opened(file);
      await write(disk, 0, 7);
      await disk.close();
      file = killed(file);
      disk = await opened(file);
      await write(disk, 2, 6);
      let full = true;
      if (what === 'pages') failing(file, () => full);
      else {
        await disk.store.checkpoint();
        await write(disk, 2, 6);
        const writeNow = file.writeNow.bind(file);
        file.writeNow = (source, offset) => {
          if (full && source.length >= SEGMENT_PLACES * BLOCK_SIZE)
            throw new DiskError('ENOSPC', 'no space left');
          writeNow(source, offset);
        };
      }
      await expect(grow(disk.store, grown * BLOCK_SIZE)).rejects.toThrow('no space left');
      full = false;
      expect([disk.size, disk.store.tree.blocks]).toEqual([blocks * BLOCK_SIZE, blocks]);
      await write(disk, 1, 8);
      expect(await byteOf(disk, 0)).toBe(7);
      await disk.flush();
      // Its last checkpoint holds, and so does a later one.
      for (const each of [open(unpowered(file)), disk]) {
        expect([await byteOf(each, 0), await byteOf(each, 1), await byteOf(each, 2)]).toEqual([7, 8, 6]);
        expect(each.size).toBe(blocks * BLOCK_SIZE);
      }
      await disk.close();
      file = unpowered(file);
      disk = await opened(file);
      expect([await byteOf(disk, 0), await byteOf(disk, 1), await byteOf(disk, 2)]).toEqual([7, 8, 6]);
      await grow(disk.store, grown * BLOCK_SIZE);
      await write(disk, grown - 1, 9);
      await disk.close();
      expect(await byteOf(open(unpowered(file)), grown - 1)).toBe(9);
    }
});

test("syncs come one after another, and one that fails is every waiting flush's failure", async () => {
  const file = fresh();
  const disk = await opened(file);
  const sync = file.sync.bind(file);
  let [now, most] = [0, 0];
  let broken = false;
  file.sync = async () => {
    most = Math.max(most, ++now);
    await sync();
    now--;
    // The kernel tells it once.
    if (!broken) return;
    broken = false;
    throw new DiskError('EIO', 'the drive failed');
  };
  let done = false;
  const client = async (): Promise<void> => {
    for (let i = 0; !done; i++) {
      await write(disk, i % BLOCKS, i & 0xff);
      await disk.flush();
    }
  };
  const working = client();
  for (let i = 0; i < 5; i++) await disk.store.checkpoint();
  done = true;
  await working;
  expect(most).toBe(1);

  const checkpoint = disk.store.checkpoint();
  // Its last two syncs are the superblock's.
  const { syncs } = file;
  while (file.syncs < syncs + 2) await tick();
  broken = true;
  await write(disk, 3, 5);
  const flush = disk.flush();
  await expect(checkpoint).rejects.toThrow('the drive failed');
  await expect(flush).rejects.toThrow('the drive failed');
});

test("a write of the superblock that fails during a flush is the flush's failure, too", async () => {
  const file = fresh();
  const disk = await opened(file);
  await write(disk, 0, 1);
  await disk.flush();
  let release = (): void => {};
  const writing = file.write.bind(file);
  const began = new Promise<void>((resolve) => {
    file.write = async (source, offset) => {
      if (offset >= SUPERBLOCK_PLACES * BLOCK_SIZE) return writing(source, offset);
      file.syncGate = new Promise((go) => {
        release = go;
      });
      const { syncs } = file;
      resolve();
      while (file.syncs === syncs) await tick();
      throw new DiskError('EIO', 'the drive failed');
    };
  });
  const checkpoint = disk.store.checkpoint();
  const told = checkpoint.catch((error: Error) => error.message);
  await began;
  await write(disk, 1, 2);
  const flush = disk.flush();
  const failed = flush.catch((error: Error) => error.message);
  expect(await told).toMatch(/the drive failed/);
  release();
  expect(await failed).toMatch(/the drive failed/);
});

test('a superblock that only the kernel has is made durable before anything is used again', async () => {
  const file = fresh();
  let disk = await opened(file);
  for (let block = 0; block < BLOCKS; block++) await write(disk, block, 100 + block);
  await disk.store.checkpoint();
  await write(disk, 0, 1);
  await disk.flush();
  const sync = file.sync.bind(file);
  const syncs = file.syncs + 1;
  file.sync = async () => {
    if (file.syncs < syncs) return sync();
    file.syncs++;
    // The drive does not take it; the kernel has it still, and does not try again.
    file.forget(0, SUPERBLOCK_PLACES * BLOCK_SIZE);
    throw new DiskError('EIO', 'the drive failed');
  };
  await expect(disk.store.checkpoint()).rejects.toThrow('the drive failed');
  await disk.close().catch(() => undefined);
  file.sync = sync;
  disk = await opened(file);
  for (let round = 0; round < 4; round++) {
    for (let block = 1; block < BLOCKS; block++) await write(disk, block, 20 * round + block);
    await disk.flush();
  }
  const next = open(unpowered(file));
  for (let block = 0; block < BLOCKS; block++)
    expect(await byteOf(next, block)).toBe(block === 0 ? 1 : 60 + block);
});

test('what was flushed outlives a power cut, though the first sync after it fails', async () => {
  const before = fresh();
  const disk = await opened(before);
  await write(disk, 0, 7);
  await disk.flush();
  const file = unpowered(before);
  file.failing = 'sync';
  const next = open(file);
  expect(await byteOf(next, 0)).toBe(7);
  await expect(next.flush()).rejects.toThrow('the drive failed');
  expect(await byteOf(open(killed(file)), 0)).toBe(7);
});

test('what outlived a kill is never taken for durable because a sync of it failed before', async () => {
  const file = fresh();
  let disk = await opened(file);
  await write(disk, 0, 7);
  await disk.flush();
  await write(disk, 0, 8);
  await write(disk, 1, 9);
  // Killed. The next one's first sync fails; the kernel does not try again.
  disk = open(file);
  file.failing = 'sync';
  await expect(disk.flush()).rejects.toThrow('the drive failed');
  file.forget(0, Number.POSITIVE_INFINITY);
  file.failing = undefined;
  disk = open(file);
  const seen = [await byteOf(disk, 0), await byteOf(disk, 1)];
  await disk.flush();
  const after = open(unpowered(file));
  expect([await byteOf(after, 0), await byteOf(after, 1)]).toEqual(seen);
});

test('a write that was lost with the power does not come back when its place is used again', async () => {
  const file = fresh();
  const disk = await opened(file);
  for (let block = 0; block < 7; block++) await write(disk, block, 1);
  await disk.flush();
  await write(disk, 0, 2);
  await disk.flush();
  // It gets the place that block 0 had. Its record comes to the drive, its block does not.
  await write(disk, 0, 9);
  const after = file.afterPowerCut((units) => (units < BLOCK_SIZE ? units : 0), 1);
  const next = await opened(after);
  const seen = await byteOf(next, 0);
  await next.flush();
  expect(seen).toBe(2);
  // The same content in other blocks: one gets the same place, and comes to the drive without its record.
  for (let block = 7; block < BLOCKS; block++) await write(next, block, 9);
  const last = open(after.afterPowerCut((units) => (units === BLOCK_SIZE ? units : 0), 1));
  expect(await byteOf(last, 0)).toBe(2);
});
