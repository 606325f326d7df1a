import { expect, test } from 'vitest';
import { findFault } from '../../imager/nbd/validate.ts';

const SIZE = 64 * 2 ** 20;
const request = (type: number, offset: number, length: number, flags = 0) => ({
  flags,
  type,
  cookieHigh: 0,
  cookieLow: 0,
  offset,
  length,
});
const [READ, WRITE, FLUSH, TRIM, CACHE, ZEROES, STATUS] = [0, 1, 3, 4, 5, 6, 7];
const [FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO] = [1, 2, 4, 8, 16];
const TARGET = { size: SIZE, readOnly: false, blockSize: 4096, structured: false, contexts: false };
const MAX = 32 * 2 ** 20;

test.each([
  ['read of all of it', request(READ, 0, MAX), undefined],
  ['read of the last byte', request(READ, SIZE - 1, 1), undefined],
  ['read of nothing at the end', request(READ, SIZE, 0), undefined],
  ['read with FUA', request(READ, 0, 1, FUA), undefined],
  ['write with FUA', request(WRITE, 0, MAX, FUA), undefined],
  ['flush', request(FLUSH, 0, 0), undefined],
  ['trim of more than a payload may have', request(TRIM, 0, SIZE), undefined],
  ['zeroes that stay allocated', request(ZEROES, 0, SIZE, NO_HOLE | FUA), undefined],
  ['read past the end', request(READ, SIZE - 1, 2), 'range 22'],
  ['read far past the end', request(READ, 2 ** 63, 1), 'range 22'],
  ['write past the end', request(WRITE, SIZE, 1), 'range 28'],
  ['trim past the end', request(TRIM, SIZE - 4096, 8192), 'range 22'],
  ['zeroes past the end', request(ZEROES, 1, SIZE), 'range 28'],
  ['read too long', request(READ, 0, MAX + 1), 'length 22'],
  ['write too long', request(WRITE, 0, 0xffffffff), 'length 22'],
  ['read with DF', request(READ, 0, 1, DF), 'flags 22'],
  ['write with NO_HOLE', request(WRITE, 0, 1, NO_HOLE), 'flags 22'],
  ['fast zeroes of a block', request(ZEROES, 4096, 4096, FAST_ZERO), undefined],
  ['fast zeroes of a block and parts of its neighbours', request(ZEROES, 4095, 4098, FAST_ZERO), undefined],
  ['fast zeroes of parts of two blocks', request(ZEROES, 1, 8190, FAST_ZERO), 'not-fast 95'],
  ['fast zeroes that stay allocated', request(ZEROES, 0, SIZE, FAST_ZERO | NO_HOLE), 'not-fast 95'],
  ['fast zeroes past the end', request(ZEROES, 4096, SIZE, FAST_ZERO), 'range 28'],
  ['unknown flag', request(READ, 0, 1, 0x8000), 'flags 22'],
  ['cache', request(CACHE, 0, SIZE), undefined],
  ['cache past the end', request(CACHE, 0, SIZE + 1), 'range 22'],
  ['cache with flags', request(CACHE, 0, 1, NO_HOLE), 'flags 22'],
  ['block status without a context', request(STATUS, 0, 1), 'command 22'],
  ['unknown command', request(0xffff, 0, 1), 'command 22'],
])('%s', (_, given, expected) => {
  const found = findFault(given, TARGET);
  expect(found === undefined ? undefined : `${found.fault} ${found.errno}`).toBe(expected);
});

test.each([WRITE, TRIM, ZEROES])('a read-only export is not changed by command %s', (type) => {
  expect(findFault(request(type, 0, 1), { ...TARGET, readOnly: true })).toEqual({
    fault: 'read-only',
    errno: 1,
    why: 'this export is read-only',
  });
  expect(findFault(request(READ, 0, 1), { ...TARGET, readOnly: true })).toBeUndefined();
  expect(findFault(request(FLUSH, 0, 0), { ...TARGET, readOnly: true })).toBeUndefined();
});

test.each([
  ['read with DF', request(READ, 0, 1, DF), undefined],
  ['read too long', request(READ, 0, MAX + 1), 'length 75'],
  ['write too long', request(WRITE, 0, MAX + 1), 'length 22'],
  ['write with DF', request(WRITE, 0, 1, DF), 'flags 22'],
  ['block status', request(STATUS, 0, SIZE), undefined],
  ['block status of one run', request(STATUS, SIZE - 1, 1, REQ_ONE), undefined],
  ['block status of nothing', request(STATUS, 0, 0), 'length 22'],
  ['block status past the end', request(STATUS, 1, SIZE), 'range 22'],
])('with structured replies and contexts: %s', (_, given, expected) => {
  const found = findFault(given, { ...TARGET, structured: true, contexts: true });
  expect(found === undefined ? undefined : `${found.fault} ${found.errno}`).toBe(expected);
});

test('a range that begins on the disk names the byte where that ends', () => {
  expect(findFault(request(READ, SIZE - 10, 20), TARGET)).toMatchObject({
    offset: SIZE,
    why: `the disk ends at byte ${SIZE}`,
  });
  expect(findFault(request(READ, SIZE + 1, 20), TARGET)?.offset).toBeUndefined();
});
