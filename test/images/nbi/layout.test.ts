import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NbiHeader, NbiSegment } from '../../../imager/images/nbi/header.ts';
import { faults, place } from '../../../imager/images/nbi/layout.ts';
import { loaderFaults } from '../../../imager/images/nbi/loader.ts';

const segment = (change: Partial<NbiSegment>): NbiSegment => ({
  tag: 0,
  placement: 'absolute',
  address: 0x10000,
  fileBytes: 0x100,
  memoryBytes: 0x100,
  vendor: new Uint8Array(),
  ...change,
});
const image = (...segments: Partial<NbiSegment>[]): NbiHeader => ({
  location: { segment: 0x9000, offset: 0 },
  entry: { segment: 0x1000, offset: 0 },
  returns: false,
  vendor: new Uint8Array(),
  segments: segments.map(segment),
});
const MiB = 1 << 20;

test('segments are placed from the one before them, and follow one another in the file', () => {
  const header = image(
    { placement: 'after the segment before', address: 0x10, fileBytes: 1, memoryBytes: 0x20 },
    { placement: 'after the segment before', address: 0, memoryBytes: 0x100 },
    { placement: 'below the segment before', address: 0x200 },
    { placement: 'below the end of memory', address: 0x1000 },
  );
  expect(place(header, 16 * MiB)).toEqual([
    { fileOffset: 512, start: 0x90210, end: 0x90230 },
    { fileOffset: 513, start: 0x90230, end: 0x90330 },
    { fileOffset: 513 + 256, start: 0x90030, end: 0x90130 },
    { fileOffset: 513 + 512, start: 16 * MiB - 0x1000, end: 16 * MiB - 0xf00 },
  ]);
  expect(place(header).at(-1)).toEqual({ fileOffset: 513 + 512 });
});

test.each<[string, NbiHeader, number, string[]]>([
  ['nothing', image({}), 768, []],
  ['cut short', image({}), 767, ['the file is cut short: 767 of 768 bytes']],
  ['too long', image({}), 769, ['1 bytes follow the last segment']],
  [
    'more file than memory',
    image({ memoryBytes: 0xff }),
    768,
    ['segment 1: 256 bytes in the file, 255 in memory'],
  ],
  ['two on one place', image({}, { address: 0x100ff }), 1024, ['segment 2 overlaps segment 1']],
  ['side by side', image({}, { address: 0x10100 }), 1024, []],
  ['on the header', image({}, { address: 0x901ff }), 1024, ['segment 2 overlaps the header']],
  [
    'vectors',
    image({}, { address: 0x4ff }),
    1024,
    ["segment 2 (0x4ff..0x5fe) overwrites the BIOS's data below 0x500"],
  ],
  [
    'ROM',
    image({}, { address: 0x9ff80 }),
    1024,
    ['segment 2 (0x9ff80..0xa007f) lies in video memory or ROM'],
  ],
  [
    '4 GiB',
    image({}, { address: 0xffffff01 }),
    1024,
    ['segment 2 (0xffffff01..0x100000000) ends above 4 GiB'],
  ],
  [
    'no memory',
    image({}, { address: 16 * MiB - 1 }),
    1024,
    ['segment 2 (0xffffff..0x10000fe) ends above the memory, 0x1000000'],
  ],
  [
    'below 0',
    image({}, { placement: 'below the segment before', address: 0x10001 }),
    1024,
    ['segment 2 begins 1 bytes below address 0'],
  ],
  ['no code', { ...image({}), entry: 0x10100 }, 768, ['the execute address 0x10100 is in no segment']],
  [
    'cleared memory is no code',
    { ...image({ memoryBytes: 0x200 }), entry: 0x10100 },
    768,
    ['the execute address 0x10100 is in no segment'],
  ],
  ['empty segments are nowhere', image({}, { fileBytes: 0, memoryBytes: 0, address: 0 }), 768, []],
])('faults: %s', (_, header, bytes, expected) => {
  expect(faults(header, bytes, 16 * MiB)).toEqual(expected);
});

test('what the format allows and nbi.0 has no place for', () => {
  expect(loaderFaults(image({}), 2 ** 31)).toEqual([]);
  expect(loaderFaults(image({}, { address: 0, fileBytes: 0, memoryBytes: 0 }), 768)).toEqual([]);
  expect(loaderFaults(image({}, { placement: 'below the end of memory' }), 768)).toEqual([]);
  expect(loaderFaults({ ...image({}, { address: 0xffff }), entry: 0x10000 }, 2 ** 31 + 1)).toEqual([
    'its 2147483649 bytes are more than nbi.0 has memory for',
    "segment 2 begins at 0xffff: memory below 0x10000 is nbi.0's own",
  ]);
  const low = { ...image({}), location: { segment: 0x60, offset: 0 } };
  expect(loaderFaults(low, 768)).toEqual(["the header begins at 0x600: memory below 0x10000 is nbi.0's own"]);
});

test('no two areas of an image without faults share a byte', () => {
  const some = fc.record({
    address: fc.integer({ min: 0x1000, max: 0x1400 }),
    memoryBytes: fc.integer({ min: 0, max: 0x200 }),
    placement: fc.constantFrom('absolute' as const, 'after the segment before' as const),
  });
  fc.assert(
    fc.property(fc.array(some, { minLength: 1, maxLength: 4 }), (segments) => {
      const header = image({ address: 0x800 }, ...segments.map((each) => ({ ...each, fileBytes: 0 })));
      const free = faults({ ...header, entry: 0x800 }, 768).length === 0;
      const owners = new Map<number, number>();
      let shared = false;
      place(header).forEach(({ start, end }, index) => {
        for (let at = start!; at < end!; at++) {
          shared ||= owners.has(at);
          owners.set(at, index);
        }
      });
      expect(free).toBe(!shared && !place(header).some(({ end }) => end! > 0x90000));
    }),
  );
});
