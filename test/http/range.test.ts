import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rangeOf } from '../../imager/http/range.ts';

// RFC 9110 section 14.1.2: the examples are of a file of 10,000 bytes.
test.each([
  [undefined, 10_000, { kind: 'whole' }],
  ['bytes=0-499', 10_000, { kind: 'part', from: 0, to: 500 }],
  ['bytes=500-999', 10_000, { kind: 'part', from: 500, to: 1000 }],
  ['bytes=-500', 10_000, { kind: 'part', from: 9500, to: 10_000 }],
  ['bytes=9500-', 10_000, { kind: 'part', from: 9500, to: 10_000 }],
  ['bytes=9500-99999', 10_000, { kind: 'part', from: 9500, to: 10_000 }],
  ['bytes=-99999', 10_000, { kind: 'part', from: 0, to: 10_000 }],
  ['bytes=10000-', 10_000, { kind: 'unsatisfiable' }],
  ['bytes=-0', 10_000, { kind: 'unsatisfiable' }],
  ['bytes=0-', 0, { kind: 'unsatisfiable' }],
  ['bytes=5-4', 10_000, { kind: 'whole' }],
  ['bytes=0-0,5-6', 10_000, { kind: 'whole' }],
  ['bytes=-', 10_000, { kind: 'whole' }],
  ['lines=1-2', 10_000, { kind: 'whole' }],
])('%s of %d bytes', (header, size, expected) => {
  expect(rangeOf(header, size)).toEqual(expected);
});

test('a part is never empty and never outside the file', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a}-${b}`),
      ),
      fc.nat(1_000_000),
      (header, size) => {
        const range = rangeOf(header, size);
        if (range.kind !== 'part') return;
        expect(range.from).toBeGreaterThanOrEqual(0);
        expect(range.to).toBeGreaterThan(range.from);
        expect(range.to).toBeLessThanOrEqual(size);
      },
    ),
  );
});
