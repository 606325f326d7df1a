import { expect, test } from 'vitest';
import { entityTag, isKnown, rangeCounts } from '../../imager/http/conditional.ts';

const TAG = entityTag('k1-3');

// RFC 9110 section 13.1.2.
test.each([
  [undefined, false],
  ['"k1-3"', true],
  ['W/"k1-3"', true],
  ['*', true],
  ['"other", "k1-3"', true],
  ['"a,b","k1-3"', true],
  ['"other"', false],
  ['k1-3', false],
  ['"k1-3', false],
  ['', false],
])('If-None-Match: %s', (header, known) => {
  expect(isKnown(header, TAG)).toBe(known);
});

// Section 13.1.5.
test.each([
  [undefined, true],
  ['"k1-3"', true],
  ['W/"k1-3"', false],
  ['"k1-4"', false],
  ['Sat, 29 Oct 1994 19:43:31 GMT', false],
])('If-Range: %s', (header, counts) => {
  expect(rangeCounts(header, TAG)).toBe(counts);
});

test('a file without a tag: a Range with any If-Range does not count', () => {
  expect([rangeCounts(undefined, undefined), rangeCounts('"x"', undefined)]).toEqual([true, false]);
});
