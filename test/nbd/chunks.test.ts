/** Structured replies: golden bytes after the protocol's document, and how reads are cut. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Extent } from '../../imager/disks/disk.ts';
import {
  encodeBlockStatus,
  encodeError,
  encodeNone,
  encodePiece,
  type Piece,
  planRead,
} from '../../imager/nbd/chunks.ts';
import { contextsOf, listed, selected, statusesOf } from '../../imager/nbd/contexts.ts';

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(''), 'hex');
const request = (offset: number, length: number, flags = 0) => ({
  ...{ flags, type: 0, cookieHigh: 0x01020304, cookieLow: 0x05060708 },
  ...{ offset, length },
});
const COOKIE = '0102030405060708';
const MAGIC = '668e33ef';
const DF = 4;

test('nothing to say: NONE, done', () => {
  const bytes = Buffer.alloc(20, 0xee);
  encodeNone(bytes, request(0, 0));
  expect(bytes).toEqual(hex(MAGIC, '0001', '0000', COOKIE, '00000000'));
});

test('a read of data, a hole and data again: three chunks, the last one done', () => {
  const asked = request(0x1_0000_0000 + 4096, 12_288);
  const runs = (['data', 'hole', 'data'] as const).map((state) => ({ length: 4096, state }));
  const { pieces, size } = planRead(asked, runs, 4096);
  expect(size).toBe(28 + 4096 + 32 + 28 + 4096);
  const bytes = Buffer.alloc(size, 0xdd);
  for (const piece of pieces) encodePiece(bytes, asked, piece, piece === pieces.at(-1));
  expect(bytes.subarray(0, 28)).toEqual(hex(MAGIC, '0000', '0001', COOKIE, '00001008', '0000000100001000'));
  expect(bytes.subarray(28, 28 + 4096).every((byte) => byte === 0xdd)).toBe(true);
  expect(bytes.subarray(28 + 4096, 28 + 4096 + 32)).toEqual(
    hex(MAGIC, '0000', '0002', COOKIE, '0000000c', '0000000100002000', '00001000'),
  );
  expect(bytes.subarray(4156, 4156 + 28)).toEqual(
    hex(MAGIC, '0001', '0001', COOKIE, '00001008', '0000000100003000'),
  );
});

test('errors: with words, with an offset, words cut at a character', () => {
  expect(encodeError(request(0, 1), 5, 'no')).toEqual(
    hex(MAGIC, '0001', '8001', COOKIE, '00000008', '00000005', '0002', '6e6f'),
  );
  expect(encodeError(request(0, 1), 28, 'no', 0x200000001)).toEqual(
    hex(MAGIC, '0001', '8002', COOKIE, '00000010', '0000001c', '0002', '6e6f', '0000000200000001'),
  );
  const long = encodeError(request(0, 1), 5, `x${'é'.repeat(400)}`);
  expect(long.readUInt16BE(24)).toBe(511);
  expect(long.subarray(26).toString()).toBe(`x${'é'.repeat(255)}`);
});

test('block status: the context, then runs', () => {
  const statuses = [
    { length: 0x1000, flags: 3 },
    { length: 0xfffff000, flags: 0 },
  ];
  expect(encodeBlockStatus(request(0, 1), 2, statuses, true)).toEqual(
    hex(
      MAGIC,
      '0001',
      '0005',
      COOKIE,
      '00000014',
      '00000002',
      '00001000',
      '00000003',
      'fffff000',
      '00000000',
    ),
  );
  expect(encodeBlockStatus(request(0, 1), 1, statuses, false).subarray(0, 8)).toEqual(
    hex(MAGIC, '0000', '0005'),
  );
});

const run = fc.record({
  length: fc.constantFrom(1, 512, 4095, 4096, 8192, 1_048_576),
  state: fc.constantFrom<Extent['state']>('data', 'zero', 'hole'),
  dirty: fc.boolean(),
});
const runs = fc.array(run, { minLength: 1, maxLength: 12 });

/** The piece that run `i` of `known` begins in. */
function pieceOf(pieces: Piece[], known: { length: number }[], i: number): Piece {
  const start = known.slice(0, i).reduce((sum, each) => sum + each.length, 7);
  return pieces.find((one) => one.offset <= start && start < one.offset + one.length)!;
}

test('pieces cover a read once and in order; short holes are data; unfragmented is one piece', () => {
  fc.assert(
    fc.property(runs, fc.nat(100_000), fc.boolean(), (known, more, df) => {
      const length = known.reduce((sum, each) => sum + each.length, more);
      const { pieces, size } = planRead(request(7, length, df ? DF : 0), known, 4096);
      let [at, place] = [7, 0];
      for (const piece of pieces) {
        expect([piece.offset, piece.at]).toEqual([at, place]);
        if (piece.hole) expect(piece.length).toBeGreaterThanOrEqual(4096);
        at += piece.length;
        place += piece.hole ? 32 : 28 + piece.length;
      }
      expect([at, place]).toEqual([7 + length, size]);
      if (df) expect(pieces).toHaveLength(1);
      // What is named a hole is known to be zeroes.
      for (const [i, each] of known.entries())
        if (each.state === 'data') expect(pieceOf(pieces, known, i).hole).toBe(false);
      if (df) return;
      // A hole that is long enough is named, whatever pieces it came in.
      expect(pieces.some((piece, i) => piece.hole && pieces[i + 1]?.hole)).toBe(false);
      for (const [i, each] of known.entries())
        if (each.state !== 'data' && each.length >= 4096) expect(pieceOf(pieces, known, i).hole).toBe(true);
    }),
  );
});

test('contexts: allocation of all, dirty of what can be written to; wildcards list and do not choose', () => {
  const names = (contexts: { name: string }[]): string[] => contexts.map(({ name }) => name);
  const both = contextsOf({ readOnly: false });
  expect(names(both)).toEqual(['base:allocation', 'x-bootwright:dirty']);
  expect(names(contextsOf({ readOnly: true }))).toEqual(['base:allocation']);
  expect(names(listed(both, []))).toEqual(names(both));
  expect(names(listed(both, ['x-bootwright:']))).toEqual(['x-bootwright:dirty']);
  expect(names(listed(both, ['base:', 'qemu:', 'b', '', ':', 'base:other']))).toEqual(['base:allocation']);
  expect(names(selected(both, ['base:', 'x-bootwright:dirty', 'x-bootwright:dirty']))).toEqual([
    'x-bootwright:dirty',
  ]);
  expect(selected(both, [])).toEqual([]);
});

test('statuses: what runs mean to each context, neighbours that are alike joined, or the first alone', () => {
  const [allocation, dirty] = contextsOf({ readOnly: false });
  const extents: Extent[] = [
    { length: 1, state: 'data', dirty: false },
    { length: 2, state: 'data', dirty: true },
    { length: 4, state: 'hole', dirty: true },
    { length: 8, state: 'zero', dirty: false },
  ];
  expect(statusesOf(allocation!, extents, false)).toEqual([
    { length: 3, flags: 0 },
    { length: 4, flags: 3 },
    { length: 8, flags: 2 },
  ]);
  expect(statusesOf(dirty!, extents, false)).toEqual([
    { length: 1, flags: 0 },
    { length: 6, flags: 1 },
    { length: 8, flags: 0 },
  ]);
  expect(statusesOf(allocation!, extents, true)).toEqual([{ length: 3, flags: 0 }]);
});
