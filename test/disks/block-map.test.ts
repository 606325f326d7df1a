import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BASE, BlockMap, type BlockState, DATA, ZERO } from '../../imager/disks/block-map.ts';
import { BLOCK_SIZE, decodePage } from '../../imager/disks/map-format.ts';

const BLOCKS = 8192 * 2 + 300;
const range = fc.record({
  from: fc.nat(BLOCKS - 1),
  length: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.nat(BLOCKS)),
  state: fc.constantFrom<BlockState>(BASE, DATA, ZERO),
});

test('states are what was set, runs end where they change', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.nat(BLOCKS - 1), (ranges, probe) => {
      const map = new BlockMap(BLOCKS * BLOCK_SIZE - 1);
      const model = new Uint8Array(BLOCKS);
      for (const { from, length, state } of ranges) {
        const to = Math.min(BLOCKS, from + length);
        map.set(from, to, state);
        model.fill(state, from, to);
      }
      expect(map.blocks).toBe(BLOCKS);
      expect(Uint8Array.from({ length: BLOCKS }, (_, block) => map.state(block))).toEqual(model);
      const next = model.findIndex((state, block) => block > probe && state !== model[probe]);
      expect(map.runEnd(probe, BLOCKS)).toBe(next === -1 ? BLOCKS : next);
      const counts = {
        data: model.filter((state) => state === DATA).length,
        zero: model.filter((state) => state === ZERO).length,
      };
      expect(map.counts()).toEqual(counts);
      const again = new BlockMap(BLOCKS * BLOCK_SIZE - 1);
      for (const { page, slot, record } of map.capture())
        again.load(page, { ...decodePage(page, record)!, slot });
      expect(again.counts()).toEqual(counts);
    }),
    { numRuns: 40 },
  );
});

test('only pages that changed are written, to the slot that is not in use', () => {
  const map = new BlockMap(BLOCKS * BLOCK_SIZE);
  map.set(8191, 8193, DATA);
  const first = map.capture();
  expect(first.map(({ page, slot, sequence }) => ({ page, slot, sequence }))).toEqual([
    { page: 0, slot: 1, sequence: 1 },
    { page: 1, slot: 1, sequence: 1 },
  ]);
  expect(decodePage(0, first[0]!.record)!.states[2047]).toBe(0b01_00_00_00);
  map.committed(first);
  map.set(8191, 8193, DATA);
  expect(map.capture()).toEqual([]);
  map.set(8192, 8193, ZERO);
  expect(map.capture().map(({ page, slot, sequence }) => ({ page, slot, sequence }))).toEqual([
    { page: 1, slot: 0, sequence: 2 },
  ]);
});
