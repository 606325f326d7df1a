/** Several short writes of one turn: one write to the file for all of them, and each one's own outcome. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { BLOCKS, byteOf, fresh, killed, open, opened, write } from './overlays-in-memory.ts';

const SIZE = BLOCKS * BLOCK_SIZE;

test('short writes of a turn are one write to the file, the last one of a block counts, and all outlive a kill', async () => {
  const file = fresh();
  const disk = await opened(file);
  await write(disk, 0, 9);
  const before = file.writes;
  await Promise.all([write(disk, 3, 1), write(disk, 7, 2), write(disk, 3, 3), write(disk, 0, 4)]);
  // The blocks, and a record.
  expect(file.writes).toBe(before + 2);
  for (const each of [disk, open(killed(file))])
    expect([await byteOf(each, 3), await byteOf(each, 7), await byteOf(each, 0)]).toEqual([3, 2, 4]);
});

test('more than fit together are written as they come', async () => {
  const file = fresh(200);
  const disk = await opened(file);
  const before = file.writes;
  await Promise.all(Array.from({ length: 40 }, (_, i) => write(disk, 5 * i, i)));
  expect(file.writes).toBe(before + 3 + 1);
  for (let i = 0; i < 40; i++) expect(await byteOf(disk, 5 * i)).toBe(i);
});

test('where there is no space for all of them, those that have some are written', async () => {
  const file = fresh();
  const disk = await opened(file);
  await write(disk, 0, 1);
  file.room = file.size() + 2 * BLOCK_SIZE;
  const outcomes = await Promise.allSettled([write(disk, 1, 1), write(disk, 2, 2), write(disk, 3, 3)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  expect((outcomes[2] as PromiseRejectedResult).reason).toMatchObject({ code: 'ENOSPC' });
  expect([await byteOf(disk, 1), await byteOf(disk, 2), await byteOf(disk, 3)]).toEqual([1, 2, 0]);
});

test('a record that cannot be written fails all that it tells of', async () => {
  const file = fresh();
  const disk = await opened(file);
  await write(disk, 0, 1);
  const { writeNow } = file;
  let writes = 0;
  file.writeNow = (source, offset) => {
    if (++writes === 2) file.failing = 'write';
    writeNow.call(file, source, offset);
  };
  const outcomes = await Promise.allSettled([write(disk, 1, 1), write(disk, 2, 2)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('a drive that has become slow meanwhile gets them through the thread pool', async () => {
  const file = fresh();
  const disk = await opened(file);
  const writes = [write(disk, 1, 1), write(disk, 2, 2), write(disk, 1, 3)];
  file.prompts = false;
  await Promise.all(writes);
  expect([await byteOf(disk, 1), await byteOf(disk, 2)]).toEqual([3, 2]);
});

const call = fc.record({
  do: fc.constantFrom('write' as const, 'write' as const, 'trim' as const, 'read' as const, 'flush' as const),
  at: fc.oneof(fc.constantFrom(0, 2, 4, 6), fc.integer({ min: 0, max: 2 * BLOCKS - 1 })),
  length: fc.constantFrom(1, 1, 2, 2, 4, 12),
  end: fc.constantFrom(false, false, false, true),
});

test('in one turn, and from turn to turn, a disk is as one where each call is done before the next', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 20, maxLength: 60 }), async (calls) => {
      const disk = await opened(fresh());
      const wanted = new Uint8Array(SIZE);
      let pending: Promise<unknown>[] = [];
      for (const [i, { do: what, at, length, end }] of calls.entries()) {
        // Halves of blocks, so that some are covered in part.
        const from = (at * BLOCK_SIZE) / 2;
        const to = Math.min(SIZE, from + (length * BLOCK_SIZE) / 2);
        if (what === 'write') {
          pending.push(disk.write(new Uint8Array(to - from).fill(i + 1), from));
          wanted.fill(i + 1, from, to);
        } else if (what === 'trim') {
          pending.push(disk.trim(from, to - from));
          wanted.fill(0, from, to);
        } else if (what === 'read') {
          const bytes = new Uint8Array(to - from);
          const there = wanted.slice(from, to);
          const check = (): void => expect(Buffer.compare(bytes, there)).toBe(0);
          pending.push(disk.read(bytes, from).then(check));
        } else pending.push(disk.flush());
        if (end) await Promise.all(pending.splice(0));
      }
      await Promise.all(pending);
      pending = [];
      const bytes = new Uint8Array(SIZE);
      await disk.read(bytes, 0);
      expect(Buffer.compare(bytes, wanted)).toBe(0);
    }),
    { numRuns: 150 },
  );
});
