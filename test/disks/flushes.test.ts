/** Flushes that nobody asked for: of a node that writes much and never flushes. */
import { expect, test } from 'vitest';
import { Flushes } from '../../imager/disks/flushes.ts';
import type { Journal } from '../../imager/disks/journal.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { Space } from '../../imager/disks/space.ts';
import { base, fresh, salt, tick, write } from './overlays-in-memory.ts';
import { VolatileFile } from './volatile-file.ts';

const MIB = 2 ** 20;

/** A clock that is set. */
class Clock {
  #now = 1000;
  #timers: { at: number; work: () => void }[] = [];
  readonly now = (): number => this.#now;
  readonly later = (ms: number, work: () => void): void => {
    this.#timers.push({ at: this.#now + ms, work });
  };

  /** Resolves once all is done that is due at `time`. */
  async to(time: number): Promise<void> {
    this.#now = time;
    const due = this.#timers.filter(({ at }) => at <= time);
    this.#timers = this.#timers.filter(({ at }) => at > time);
    for (const { work } of due) work();
    for (let i = 0; i < 5; i++) await tick();
  }

  get waiting(): number {
    return this.#timers.length;
  }
}

function made(): { file: VolatileFile; clock: Clock; flushes: Flushes } {
  const file = new VolatileFile(new Uint8Array(0));
  const mark = { lsn: 1, end: 0 };
  const journal: Pick<Journal, 'written' | 'takeWritten' | 'synced' | 'cutOff'> = {
    written: async () => undefined,
    takeWritten: () => ({ mark, released: [], changed: true }),
    synced: () => undefined,
    cutOff: () => undefined,
  };
  const clock = new Clock();
  return { file, clock, flushes: new Flushes('disk', file, journal as Journal, new Space(10), clock) };
}

test('512 MiB that were not flushed are, two seconds after the flush before at the earliest', async () => {
  const { file, clock, flushes } = made();
  const syncsAfter = async (time: number, bytes: number): Promise<number> => {
    await clock.to(time);
    flushes.noted(bytes);
    await clock.to(time);
    return file.syncs;
  };
  expect(await syncsAfter(1000, 512 * MIB)).toBe(0);
  expect(await syncsAfter(1001, 1)).toBe(1);
  expect(await syncsAfter(2000, 1000 * MIB)).toBe(1);
  expect(await syncsAfter(3000, 1)).toBe(1);
  expect(await syncsAfter(3001, 1)).toBe(2);
  expect(await syncsAfter(20_000, 511 * MIB)).toBe(2);
  expect(clock.waiting).toBe(0);
});

test('and they are where nothing is written afterwards', async () => {
  const { file, clock, flushes } = made();
  await flushes.flush();
  for (let i = 0; i < 3; i++) flushes.noted(400 * MIB);
  expect(clock.waiting).toBe(1);
  await clock.to(2999);
  expect(file.syncs).toBe(1);
  await clock.to(3000);
  expect(file.syncs).toBe(2);
  expect(clock.waiting).toBe(0);
});

test('and where they were written while a flush was under way', async () => {
  const { file, clock, flushes } = made();
  let open = (): void => undefined;
  file.syncGate = new Promise((resolve) => {
    open = resolve;
  });
  const flush = flushes.flush();
  await clock.to(1500);
  flushes.noted(600 * MIB);
  open();
  await flush;
  await clock.to(3499);
  expect(file.syncs).toBe(1);
  await clock.to(3500);
  expect(file.syncs).toBe(2);
});

test('a flush that was asked for meanwhile has done it', async () => {
  const { file, clock, flushes } = made();
  await flushes.flush();
  flushes.noted(600 * MIB);
  await clock.to(2000);
  await flushes.flush();
  await clock.to(10_000);
  expect(file.syncs).toBe(2);
});

test('nothing is flushed unasked after a failure', async () => {
  const { file, clock, flushes } = made();
  await flushes.flush();
  flushes.noted(600 * MIB);
  file.failing = 'sync';
  await expect(flushes.flush()).rejects.toThrow('no more writes');
  flushes.noted(600 * MIB);
  await clock.to(10_000);
  expect(file.syncs).toBe(2);
  expect(clock.waiting).toBe(0);
});

test('nor once the overlay is closed', async () => {
  const clock = new Clock();
  const file = fresh();
  const store = OverlayStore.open(file, { name: 'disk', salt, warn: () => {}, ...clock });
  const disk = new Overlay('disk', store, base);
  await store.settled();
  await write(disk, 1, 1);
  await disk.flush();
  // As if so much had been written, and again by writes that the close's flush came too early for.
  store.flushes.noted(600 * MIB);
  expect(clock.waiting).toBe(1);
  await disk.close();
  store.flushes.wrote();
  store.flushes.noted(600 * MIB);
  const { syncs } = file;
  await clock.to(10_000);
  expect(file.syncs).toBe(syncs);
});
