/** Places that are used again before a flush: never those that a crash could bring back. */
import { expect, test } from 'vitest';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { emptyOverlay } from '../../imager/disks/overlay-file.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';
import { VolatileFile } from './volatile-file.ts';

const BLOCKS = 8;
const SIZE = BLOCKS * BLOCK_SIZE;
const base = {
  file: new VolatileFile(new Uint8Array(SIZE)),
  size: SIZE,
  zeros: new ZeroMap(SIZE),
  intact() {},
};
let salts = 0;

async function open(file: VolatileFile): Promise<Overlay> {
  const salt = (): string => (++salts).toString(16).padStart(16, '0');
  const disk = new Overlay('disk', OverlayStore.open(file, { name: 'disk', salt, warn() {} }), base);
  await disk.store.settled();
  return disk;
}

const fresh = (): VolatileFile =>
  new VolatileFile(
    emptyOverlay({ name: 'b', size: SIZE, digest: '00'.repeat(32) }, SIZE, '0123456789abcdef'),
  );
const put = (disk: Overlay, block: number, value: number): Promise<void> =>
  disk.write(new Uint8Array(BLOCK_SIZE).fill(value), block * BLOCK_SIZE);

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What the first block reads as, its first byte. */
async function first(disk: Overlay): Promise<number> {
  const bytes = new Uint8Array(BLOCK_SIZE);
  await disk.read(bytes, 0);
  return bytes[0]!;
}

test('blocks that are written again and again without a flush need two places each', async () => {
  const file = fresh();
  const disk = await open(file);
  await disk.write(new Uint8Array(SIZE).fill(1), 0);
  await disk.write(new Uint8Array(SIZE).fill(2), 0);
  const size = file.size();
  for (let i = 0; i < 50; i++) await disk.write(new Uint8Array(SIZE).fill(i), 0);
  expect([file.size(), file.syncs]).toEqual([size, 1]);
  expect(await first(disk)).toBe(49);
});

test('a place is let be until the record of what replaced it is in the file', async () => {
  const file = fresh();
  const disk = await open(file);
  await put(disk, 0, 1);
  file.prompts = false;
  const before = file.writes;
  const second = put(disk, 0, 2);
  while (file.writes === before) await tick();
  expect(file.writes).toBe(before + 1);
  // Its data is there, its record stays on the way.
  let pass = (): void => {};
  file.writeGate = new Promise((resolve) => {
    pass = resolve;
  });
  await tick();
  file.prompts = true;
  const others = Array.from({ length: BLOCKS - 1 }, (_, i) => put(disk, 1 + i, 9));
  const killed = await open(new VolatileFile(file.content()));
  expect(await first(killed)).toBe(1);
  pass();
  await Promise.all([second, ...others]);
  expect(await first(await open(new VolatileFile(file.content())))).toBe(2);
});

test('a place that a sync under way makes durable is let be, although it was replaced meanwhile', async () => {
  const file = fresh();
  const disk = await open(file);
  await put(disk, 0, 1);
  let pass = (): void => {};
  file.syncGate = new Promise((resolve) => {
    pass = resolve;
  });
  const syncs = file.syncs;
  const flush = disk.flush();
  while (file.syncs === syncs) await tick();
  await put(disk, 0, 2);
  for (let block = 1; block < BLOCKS; block++) await put(disk, block, 9);
  pass();
  await flush;
  // Power is cut: what was written since is there, but for the records.
  const blocks = (units: number): number => (units >= BLOCK_SIZE ? units : 0);
  expect(await first(await open(file.afterPowerCut(blocks, 1)))).toBe(1);
  expect(await first(await open(file.afterPowerCut((units) => units, 1)))).toBe(2);
});
