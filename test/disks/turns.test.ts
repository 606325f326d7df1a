/** Long work on an overlay lets others have their turn. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { DiskWork } from '../../imager/disks/disk-work.ts';
import { BLOCK_SIZE, FAN_OUT } from '../../imager/disks/format.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { inTurns, type Steps } from '../../imager/disks/turns.ts';
import { attached } from './attached.ts';

const LEAVES = 40;
const client = { address: '10.0.0.1' };

afterEach(() => {
  vi.restoreAllMocks();
});

/** Has each look at the clock take a millisecond. */
function slowClock(): void {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => ++now);
}

/** Turns that others have while `work` is done. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  await work();
  over = true;
  return turns;
}

function* steps(count: number): Steps<string> {
  for (let i = 0; i < count; i++) yield;
  return 'done';
}

test('others have a turn every few milliseconds', async () => {
  slowClock();
  expect(await turnsDuring(async () => expect(await inTurns(steps(400))).toBe('done'))).toBeGreaterThan(99);
});

test('opening a disk after a crash, and comparing its states, keeps nobody waiting', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'turns-'));
  const log = pino({ level: 'silent' });
  const image = join(dir, 'image');
  writeFileSync(image, Buffer.alloc(LEAVES * FAN_OUT * BLOCK_SIZE));
  let disks = await Disks.open({ dir, log });
  await disks.addBase('b', image);
  await disks.create('d', 'b');
  const disk = await attached(disks, 'd', client);
  for (let leaf = 0; leaf < LEAVES; leaf++)
    await disk.write(Buffer.alloc(BLOCK_SIZE, leaf), leaf * FAN_OUT * BLOCK_SIZE);
  // As it is when the process is killed now: a record in the journal for each.
  const overlay = join(dir, 'disks/d/overlay');
  const crashed = readFileSync(overlay);
  await disks.close();
  writeFileSync(overlay, crashed);

  disks = await Disks.open({ dir, log });
  slowClock();
  const [first, second] = [disks.open('d', client), disks.open('d', { address: '10.0.0.2' })];
  // Records are read, verified, put into the map, and written again.
  expect(await turnsDuring(() => first)).toBeGreaterThan(LEAVES / 2);
  expect(await first).not.toHaveProperty('refused');
  expect(await second).toMatchObject({ refused: 'busy' });
  const work = new DiskWork(disks, () => 0);
  const { bytes } = await work.differences('d', 'base', 'now');
  expect(bytes).toBe(LEAVES * BLOCK_SIZE);
  const turns = await turnsDuring(() => work.differences('d', 'base', 'now'));
  expect(turns).toBeGreaterThan(LEAVES / 4);
  await disks.close();
  rmSync(dir, { recursive: true });
});

test('nobody makes a checkpoint while states are compared', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'turns-'));
  const image = join(dir, 'image');
  writeFileSync(image, Buffer.alloc(LEAVES * FAN_OUT * BLOCK_SIZE));
  const disks = await Disks.open({ dir, log: pino({ level: 'silent' }) });
  await disks.addBase('b', image);
  await disks.create('d', 'b');
  const disk = await attached(disks, 'd', client);
  await disk.write(Buffer.alloc(BLOCK_SIZE, 1), 0);
  const still = vi.spyOn(OverlayStore.prototype, 'still');
  await new DiskWork(disks, () => 0).differences('d', 'base', 'now');
  expect(still).toHaveBeenCalled();
  await disks.withOverlay('d', async ({ store }) => {
    const { sequence } = store.superblock;
    const comparing = store.still(async () => {
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 1));
      // Pages of the map that a checkpoint gave up, and others took, would be told as damage.
      expect(store.superblock.sequence).toBe(sequence);
    });
    const checkpoint = store.checkpoint();
    await comparing;
    await checkpoint;
    expect(store.superblock.sequence).toBe(sequence + 1);
  });
  await disks.close();
  rmSync(dir, { recursive: true });
});
