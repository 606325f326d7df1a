/** Several short writes of one turn: one write to the file for all of them, and each one's own outcome. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DiskError } from '../../imager/disks/disk.ts';
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

for (const what of ['write', 'trim'] as const)
  test(`a ${what} of part of a block loses nothing of a short write that a drive that has become slow sends before it`, async () => {
    const file = fresh(200);
    const disk = await opened(file);
    await write(disk, 16, 1);
    const { writeNow } = file;
    // What the sixteen are written with waits for the drive.
    file.writeNow = (source, offset) => {
      writeNow.call(file, source, offset);
      if (source.length === 16 * BLOCK_SIZE) file.prompts = false;
    };
    const calls = Array.from({ length: 16 }, (_, i) => write(disk, i, 9));
    calls.push(write(disk, 16, 5));
    expect(file.prompts).toBe(false);
    if (what === 'write') calls.push(disk.write(new Uint8Array(512).fill(7), 16 * BLOCK_SIZE));
    else calls.push(disk.trim(16 * BLOCK_SIZE, 512));
    await Promise.all(calls);
    const bytes = new Uint8Array(BLOCK_SIZE);
    await disk.read(bytes, 16 * BLOCK_SIZE);
    const wanted = new Uint8Array(BLOCK_SIZE).fill(5).fill(what === 'write' ? 7 : 0, 0, 512);
    expect(Buffer.compare(bytes, wanted)).toBe(0);
  });

test('a trim of whole blocks comes after a short write that a drive that has become slow sends before it', async () => {
  const file = fresh();
  const disk = await opened(file);
  const calls = [write(disk, 3, 5)];
  file.prompts = false;
  calls.push(disk.trim(2 * BLOCK_SIZE, 3 * BLOCK_SIZE));
  await Promise.all(calls);
  expect(await byteOf(disk, 3)).toBe(0);
});

test('a short write for which others make room comes after them where the drive becomes slow then, and prompt again', async () => {
  const file = fresh();
  const disk = await opened(file);
  const { writeNow } = file;
  // One by one, for together there is no space: the first of them waits for the drive.
  file.writeNow = (source, offset) => {
    if (source.length > BLOCK_SIZE) throw new DiskError('ENOSPC', 'no space left');
    writeNow.call(file, source, offset);
    file.prompts = false;
  };
  const calls = Array.from({ length: 16 }, (_, i) => write(disk, i, 9));
  calls.push(write(disk, 5, 5));
  expect(file.prompts).toBe(false);
  file.writeNow = writeNow;
  file.prompts = true;
  calls.push(write(disk, 17, 6));
  await Promise.all(calls);
  expect([await byteOf(disk, 5), await byteOf(disk, 17)]).toEqual([5, 6]);
});

const HALF = BLOCK_SIZE / 2;
const HALVES = 2 * BLOCKS;
const call = fc.record({
  do: fc.constantFrom('write' as const, 'write' as const, 'trim' as const, 'read' as const, 'flush' as const),
  at: fc.oneof(fc.constantFrom(0, 2, 4, 6), fc.integer({ min: 0, max: HALVES - 1 })),
  length: fc.constantFrom(1, 1, 2, 2, 4, 12),
  end: fc.constantFrom(false, false, false, true),
  turns: fc.constantFrom(false, false, false, false, true),
});
const calls = fc.array(call, { minLength: 20, maxLength: 60 });
type Call = typeof call extends fc.Arbitrary<infer C> ? C : never;

/**
 * What a disk may have, by halves of blocks, so that some are covered in part. Calls that the thread pool carries out may take
 * effect in any order: a half then has what one of those that were under way together gave it.
 */
class Halves {
  #known = new Uint8Array(HALVES);
  readonly #given: number[][] = Array.from({ length: HALVES }, () => []);

  give(from: number, to: number, value: number): void {
    for (let half = from; half < to; half++) this.#given[half]!.push(value);
  }

  /** What the disk has where each call is done before the next. */
  inOrder(): Uint8Array {
    return this.#known.map((known, half) => this.#given[half]!.at(-1) ?? known);
  }

  /** No calls are under way, and the disk has `bytes`. */
  settled(bytes: Uint8Array, ordered: boolean): void {
    const found = this.#known.map((_, half) => bytes[half * HALF]!);
    if (ordered) expect(found).toEqual(this.inOrder());
    const strange = [...found].filter((value, half) => {
      const given = this.#given[half]!;
      const allowed = given.length === 0 ? [this.#known[half]!] : given.splice(0);
      return !allowed.includes(value);
    });
    expect(strange).toEqual([]);
    expect(Buffer.compare(bytes, whole(found))).toBe(0);
    this.#known = found;
  }
}

function whole(halves: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(halves.length * HALF);
  for (const [half, value] of halves.entries()) bytes.fill(value, half * HALF, (half + 1) * HALF);
  return bytes;
}

/** Does the calls; `turning`: on a drive that becomes slow and prompt again, with calls of one turn on both ways. */
async function compare(calls: Call[], turning: boolean): Promise<void> {
  const file = fresh();
  const disk = await opened(file);
  const halves = new Halves();
  const pending: Promise<unknown>[] = [];
  let ordered = true;
  const settle = async (): Promise<void> => {
    await Promise.all(pending.splice(0));
    const bytes = new Uint8Array(SIZE);
    await disk.read(bytes, 0);
    halves.settled(bytes, ordered);
    ordered = file.prompts;
  };
  for (const [i, { do: what, at, length, end, turns }] of calls.entries()) {
    if (turning && turns) file.prompts = !file.prompts;
    ordered &&= file.prompts;
    const to = Math.min(HALVES, at + length);
    if (what === 'write') {
      pending.push(disk.write(new Uint8Array((to - at) * HALF).fill(i + 1), at * HALF));
      halves.give(at, to, i + 1);
    } else if (what === 'trim') {
      pending.push(disk.trim(at * HALF, (to - at) * HALF));
      halves.give(at, to, 0);
    } else if (what === 'read') {
      const bytes = new Uint8Array((to - at) * HALF);
      const there = whole(halves.inOrder().subarray(at, to));
      const check = (): void => {
        if (ordered) expect(Buffer.compare(bytes, there)).toBe(0);
      };
      pending.push(disk.read(bytes, at * HALF).then(check));
    } else pending.push(disk.flush());
    if (end) await settle();
  }
  await settle();
}

test('in one turn, and from turn to turn, a disk is as one where each call is done before the next', async () => {
  await fc.assert(
    fc.asyncProperty(calls, (calls) => compare(calls, false)),
    { numRuns: 150 },
  );
});

test('where a drive becomes slow and prompt again, nothing of a call is lost but to one under way together with it', async () => {
  await fc.assert(
    fc.asyncProperty(calls, (calls) => compare(calls, true)),
    { numRuns: 150 },
  );
});
