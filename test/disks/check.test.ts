/** Offline check and repair, with bits turned over in every part of the file. */
import { expect, test } from 'vitest';
import { check, repair } from '../../imager/disks/check.ts';
import { DiskError } from '../../imager/disks/disk.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { snapshot } from '../../imager/disks/generations.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { emptyOverlay, superblockIn } from '../../imager/disks/overlay-file.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { encodeSuperblock } from '../../imager/disks/superblock.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';
import { VolatileFile } from './volatile-file.ts';

const BLOCKS = 30;
const SIZE = BLOCKS * BLOCK_SIZE;
const base = {
  file: new VolatileFile(new Uint8Array(SIZE).fill(0xba)),
  size: SIZE,
  zeros: new ZeroMap(SIZE),
  intact: () => {},
};
let salts = 0;
const host = { name: 'disk', salt: () => (++salts).toString(16).padStart(16, '0'), warn: () => {} };
const quiet = (): void => {};
const open = (file: VolatileFile): Overlay => new Overlay('disk', OverlayStore.open(file, host), base);

/** Ten blocks of 1 in a generation, five of them 2 in the present. */
async function written(): Promise<VolatileFile> {
  const file = new VolatileFile(
    emptyOverlay({ name: 'b', size: SIZE, digest: '00'.repeat(32) }, SIZE, host.salt()),
  );
  const disk = open(file);
  await disk.write(new Uint8Array(10 * BLOCK_SIZE).fill(1), 0);
  await snapshot(disk.store, 'one', 0);
  await disk.write(new Uint8Array(5 * BLOCK_SIZE).fill(2), 0);
  await disk.close();
  return file;
}

/** Has a place be unreadable until it is written; tells whether it is. */
function badSector(file: VolatileFile, place: number): () => boolean {
  const { readNow, writeNow } = file;
  const touches = (bytes: Uint8Array, offset: number): boolean =>
    offset <= place * BLOCK_SIZE && place * BLOCK_SIZE < offset + bytes.length;
  let bad = true;
  file.readNow = (target, offset) => {
    if (bad && touches(target, offset)) throw new DiskError('EIO', 'a bad sector');
    readNow.call(file, target, offset);
  };
  file.writeNow = (source, offset) => {
    bad &&= !touches(source, offset);
    writeNow.call(file, source, offset);
  };
  return () => bad;
}

test('what is good is told to be, and stays as it is', async () => {
  const file = await written();
  const before = file.content();
  let done = 0;
  const report = await check(file, (share) => {
    done = share;
  });
  expect(report).toEqual({ blocks: 15, generations: 1, damages: [] });
  expect(done).toBeLessThanOrEqual(1);
  expect(file.content()).toEqual(before);
  expect(await repair(file, host, quiet)).toMatchObject({ damages: [] });
  expect(await check(file, quiet)).toMatchObject({ blocks: 15, damages: [] });
});

test('a turned bit anywhere is found where it matters; after a repair all can be read, and only what was damaged is gone', async () => {
  const whole = (await written()).content();
  const kinds = new Set<string>();
  const places = Array.from({ length: whole.length / BLOCK_SIZE }, (_, place) => place * BLOCK_SIZE);
  // Some bytes of each place; those of a map page that are not zero are few.
  const spots = places.flatMap((start) => {
    const used = [...whole.subarray(start, start + BLOCK_SIZE).keys()].filter(
      (at) => whole[start + at] !== 0,
    );
    return used.filter((_, i) => i % Math.ceil(used.length / 8) === 0).map((at) => start + at);
  });
  for (const spot of spots) {
    const content = whole.slice();
    content[spot]! ^= 0x10;
    const file = new VolatileFile(content);
    const found = await check(file, quiet);
    for (const { what } of found.damages) kinds.add(what);
    const repaired = await repair(file, host, quiet);
    const lost = (damages: typeof found.damages): unknown =>
      damages
        .filter(({ what }) => what !== 'superblock')
        .map(({ offset, generation }) => [offset, generation]);
    expect(lost(repaired.damages)).toEqual(lost(found.damages));
    expect((await check(file, quiet)).damages).toEqual([]);
    const disk = open(file);
    const bytes = new Uint8Array(SIZE);
    await disk.read(bytes, 0);
    const gone = found.damages.filter(({ generation }) => generation === 0);
    for (let block = 0; block < BLOCKS; block++) {
      const part = bytes.subarray(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE);
      const hit = gone.some(
        ({ offset = 1, length = 0 }) => offset <= block * BLOCK_SIZE && block * BLOCK_SIZE < offset + length,
      );
      const wanted = hit ? 0 : block < 5 ? 2 : block < 10 ? 1 : 0xba;
      expect(part.every((byte) => byte === wanted)).toBe(true);
    }
    await disk.close();
  }
  expect(kinds).toEqual(new Set(['superblock', 'generations', 'map page', 'block']));
});

test.each([0, 1])('copy %i of the superblock cannot be read: the other will do', async (copy) => {
  const file = await written();
  const bad = badSector(file, copy);
  expect((await check(file, quiet)).damages).toMatchObject([{ what: 'superblock' }]);
  expect(superblockIn(file).sequence).toBeGreaterThan(1);
  const disk = open(file);
  await disk.store.settled();
  expect(bad()).toBe(false);
  expect((await check(file, quiet)).damages).toEqual([]);
});

test('a part of the map, or the generations, that cannot be read is damage as others: a repair gets past it', async () => {
  const whole = (await written()).content();
  const { superblock, generations } = open(new VolatileFile(whole)).store;
  const places = [superblock.root.place, generations[0]!.root.place, superblock.table.place];
  for (const [i, place] of places.entries()) {
    const file = new VolatileFile(whole);
    badSector(file, place);
    const what = i === 2 ? 'generations' : 'map page';
    expect((await check(file, quiet)).damages).toMatchObject([{ what, generation: i === 1 ? 1 : 0 }]);
    expect((await repair(file, host, quiet)).damages).toMatchObject([{ what }]);
    expect((await check(file, quiet)).damages).toEqual([]);
  }
});

test('a file that lost its end can be checked and repaired, however much of it is gone', async () => {
  const whole = (await written()).content();
  for (let end = 2; end < whole.length / BLOCK_SIZE; end++) {
    const file = new VolatileFile(whole.subarray(0, end * BLOCK_SIZE));
    const found = await check(file, quiet);
    const repaired = await repair(file, host, quiet);
    expect(repaired.damages.map(({ what }) => what)).toEqual(found.damages.map(({ what }) => what));
    expect((await check(file, quiet)).damages).toEqual([]);
    const disk = open(file);
    await disk.write(new Uint8Array(SIZE).fill(7), 0);
    await disk.close();
    expect(await check(file, quiet)).toMatchObject({ damages: [] });
  }
});

test('after a repair of the map its blocks are counted anew, and the disk goes on', async () => {
  for (const generation of [0, 1]) {
    let file = new VolatileFile(
      emptyOverlay({ name: 'b', size: SIZE, digest: '00'.repeat(32) }, SIZE, host.salt()),
    );
    let disk = open(file);
    await disk.write(new Uint8Array(20 * BLOCK_SIZE).fill(1), 0);
    if (generation === 1) await snapshot(disk.store, 'one', 0);
    await disk.close();
    const content = file.content();
    content[disk.store.superblock.root.place * BLOCK_SIZE + 9]! ^= 1;
    file = new VolatileFile(content);
    await repair(file, host, quiet);
    disk = open(file);
    await disk.store.settled();
    expect(disk.store.tree.counts()).toEqual({ data: 0, zero: BLOCKS });
    expect(disk.store.generations.map(({ blocks }) => blocks)).toEqual(
      generation === 0 ? [] : [{ data: 0, zero: BLOCKS }],
    );
    await disk.write(new Uint8Array(BLOCK_SIZE).fill(1), 0);
    await disk.store.checkpoint();
    await snapshot(disk.store, 'two', 0);
    expect(disk.store.superblock.blocks).toEqual({ data: 1, zero: BLOCKS - 1 });
  }
});

test('a journal with blocks that the disk has not is damage, and a repair gets past it', async () => {
  const file = new VolatileFile(
    emptyOverlay({ name: 'b', size: SIZE, digest: '00'.repeat(32) }, SIZE, host.salt()),
  );
  const disk = open(file);
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(1), 0);
  await disk.flush();
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(2), (BLOCKS - 1) * BLOCK_SIZE);
  const { superblock } = disk.store;
  const shorter = encodeSuperblock({ ...superblock, size: SIZE - BLOCK_SIZE });
  const content = file.content();
  for (const copy of [0, 1]) content.set(shorter, copy * BLOCK_SIZE);
  const bent = new VolatileFile(content);
  // Once that record is known to be durable it cannot be a lost one.
  const whole = open(new VolatileFile(content));
  expect(whole.size).toBe(SIZE - BLOCK_SIZE);
  await disk.flush();
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(3), BLOCK_SIZE);
  const durable = file.content();
  for (const copy of [0, 1]) durable.set(shorter, copy * BLOCK_SIZE);
  const damaged = new VolatileFile(durable);
  expect(() => open(damaged)).toThrow(/blocks behind the disk's end/);
  expect((await check(damaged, quiet)).damages).toMatchObject([{ what: 'journal' }]);
  expect((await repair(damaged, host, quiet)).damages).toMatchObject([{ what: 'journal' }]);
  const mended = open(damaged);
  const bytes = new Uint8Array(2 * BLOCK_SIZE);
  await mended.read(bytes, 0);
  expect([bytes[0], bytes[BLOCK_SIZE]]).toEqual([1, 0xba]);
  expect((await check(bent, quiet)).damages).toEqual([]);
});

test('without a superblock there is nothing to tell', async () => {
  const file = await written();
  const content = file.content();
  content.fill(0, 0, 2 * BLOCK_SIZE);
  await expect(check(new VolatileFile(content), quiet)).rejects.toThrow('no valid superblock');
});

test('a read tells which block is damaged, of however many that are read together', async () => {
  const file = new VolatileFile(
    emptyOverlay({ name: 'b', size: SIZE, digest: '00'.repeat(32) }, SIZE, host.salt()),
  );
  let disk = open(file);
  await disk.write(new Uint8Array(10 * BLOCK_SIZE).fill(1), 2 * BLOCK_SIZE);
  const place = disk.store.tree.leaf(0)[2 * 7]!;
  await disk.close();
  const content = file.content();
  content[place * BLOCK_SIZE + 99]! ^= 1;
  const damaged = new VolatileFile(content);
  disk = open(damaged);
  await disk.store.settled();
  for (const prompts of [true, false]) {
    damaged.prompts = prompts;
    const bytes = new Uint8Array(10 * BLOCK_SIZE);
    await expect(disk.read(bytes, 2 * BLOCK_SIZE)).rejects.toThrow(
      `what is stored of bytes ${7 * BLOCK_SIZE} to ${8 * BLOCK_SIZE - 1} is damaged (place ${place})`,
    );
  }
});
