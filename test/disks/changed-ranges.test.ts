/** What was changed of a disk, in no more ranges than may be. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChangedRanges } from '../../imager/disks/changed-ranges.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';

const found = (blocks: readonly number[], most?: number) => {
  const ranges = new ChangedRanges(most);
  for (const block of blocks) ranges.add(block);
  return ranges.found();
};
const sorted = fc.uniqueArray(fc.nat(500), { maxLength: 200 }).map((blocks) => blocks.sort((a, b) => a - b));

test('where there are few they are exact; blocks side by side are one', () => {
  expect(found([])).toEqual({ bytes: 0, granularity: 4096, ranges: [] });
  expect(found([1, 2, 4], 2)).toEqual({
    bytes: 3 * 4096,
    granularity: 4096,
    ranges: [
      { offset: 4096, length: 8192 },
      { offset: 16_384, length: 4096 },
    ],
  });
});

test('where there are too many they are coarser: multiples of twice as much, again and again', () => {
  expect(found([0, 3, 8, 12], 3)).toEqual({
    bytes: 4 * 4096,
    granularity: 8192,
    ranges: [
      { offset: 0, length: 16_384 },
      { offset: 32_768, length: 8192 },
      { offset: 49_152, length: 8192 },
    ],
  });
  const most = found(Array.from({ length: 2 ** 18 }, (_, i) => 4 * i));
  expect(most).toMatchObject({ bytes: 2 ** 18 * 4096, granularity: 16_384 });
  expect(most.ranges).toEqual([{ offset: 0, length: 2 ** 20 * 4096 }]);
});

test('every changed block is in them, none where no changed one is near, and they are no more than may be', () => {
  fc.assert(
    fc.property(sorted, fc.integer({ min: 1, max: 20 }), (blocks, most) => {
      const { bytes, granularity, ranges } = found(blocks, most);
      expect(bytes).toBe(blocks.length * BLOCK_SIZE);
      expect(ranges.length).toBeLessThanOrEqual(most);
      const units = new Set(blocks.map((block) => Math.floor((block * BLOCK_SIZE) / granularity)));
      const told = ranges.flatMap(({ offset, length }) =>
        Array.from({ length: length / granularity }, (_, i) => offset / granularity + i),
      );
      expect(told).toEqual([...units]);
      for (const [i, { offset }] of ranges.slice(1).entries())
        expect(offset).toBeGreaterThan(ranges[i]!.offset + ranges[i]!.length);
    }),
  );
});
