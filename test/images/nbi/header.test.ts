/** "Draft Net Boot Image Proposal 0.3", section "Image Format with Initial Magic Number". */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  NbiError,
  type NbiHeader,
  PLACEMENTS,
} from '../../../imager/images/nbi/header.ts';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));

/** The proposal's own example of a Linux image: setup, kernel, ramdisk. */
const EXAMPLE: NbiHeader = {
  location: { segment: 0x9000, offset: 0 },
  entry: { segment: 0x9000, offset: 0x200 },
  returns: false,
  vendor: new Uint8Array(),
  segments: [0x90200, 0x10000, 0x100000].map((address, index) => ({
    tag: 0,
    placement: 'absolute',
    address,
    fileBytes: index === 0 ? 0x800 : 0x80000,
    memoryBytes: index === 0 ? 0x800 : 0x80000,
    vendor: new Uint8Array(),
  })),
};
const EXAMPLE_BYTES = `
  36 13 03 1b   04 00 00 00   00 00 00 90   00 02 00 90
  04 00 00 00   00 02 09 00   00 08 00 00   00 08 00 00
  04 00 00 00   00 00 01 00   00 00 08 00   00 00 08 00
  04 00 00 04   00 00 10 00   00 00 08 00   00 00 08 00`;

describe('golden bytes', () => {
  test("the proposal's example", () => {
    const golden = new Uint8Array(HEADER_BYTES);
    golden.set(bytes(EXAMPLE_BYTES));
    golden.set([0x55, 0xaa], 510);
    expect(encodeHeader(EXAMPLE)).toEqual(golden);
    expect(decodeHeader(golden)).toEqual(EXAMPLE);
  });

  test('vendor data, tags, placements and flags', () => {
    const header: NbiHeader = {
      location: { segment: 0x1234, offset: 0x5678 },
      entry: 0x00abcdef,
      returns: true,
      vendor: bytes('61 62 63 00'),
      segments: PLACEMENTS.map((placement, index) => ({
        tag: 16 + index,
        placement,
        address: index,
        fileBytes: 1,
        memoryBytes: 2,
        vendor: index === 1 ? bytes('01 02 03 04 05 06 07 08') : new Uint8Array(),
      })),
    };
    const golden = new Uint8Array(HEADER_BYTES);
    golden.set(
      bytes(`
        36 13 03 1b   14 01 00 80   78 56 34 12   ef cd ab 00   61 62 63 00
        04 10 00 00   00 00 00 00   01 00 00 00   02 00 00 00
        24 11 00 01   01 00 00 00   01 00 00 00   02 00 00 00   01 02 03 04 05 06 07 08
        04 12 00 02   02 00 00 00   01 00 00 00   02 00 00 00
        04 13 00 07   03 00 00 00   01 00 00 00   02 00 00 00`),
    );
    golden.set([0x55, 0xaa], 510);
    expect(encodeHeader(header)).toEqual(golden);
    expect(decodeHeader(golden)).toEqual(header);
  });
});

test.each<[string, (header: Uint8Array) => Uint8Array, RegExp]>([
  ['magic', (h) => h.fill(0, 0, 1), /does not begin with 36 13 03 1B/],
  ['length', (h) => h.subarray(0, 511), /cut short: 511 of 512/],
  ['end mark', (h) => h.fill(0, 511), /does not end with 55 AA/],
  ['header of 5 words', (h) => h.fill(5, 4, 5), /the header: a record of 20 bytes/],
  ['reserved flag', (h) => h.fill(2, 5, 6), /reserved flags are set: 0x2/],
  ['record of 0 bytes', (h) => h.fill(0, 16, 17), /segment 1: a record of 0 bytes/],
  ['reserved byte', (h) => h.fill(1, 34, 35), /segment 2: reserved bits/],
  ['reserved segment flag', (h) => h.fill(0x0c, 51, 52), /segment 3: reserved bits/],
])('refused: %s', (_, spoil, message) => {
  const header = spoil(encodeHeader(EXAMPLE));
  expect(() => decodeHeader(header)).toThrow(NbiError);
  expect(() => decodeHeader(header)).toThrow(message);
});

test('a record that is nowhere marked the last ends at the end of the header', () => {
  const header = encodeHeader(EXAMPLE);
  for (let at = 16; at + 16 <= 510; at += 16) header.set([4, 0, 0, 0], at);
  expect(() => decodeHeader(header)).toThrow(/no record is marked the last: segment 31 is past the header/);
  for (let at = 16; at < 510; at += 76) header.fill(0, at, at + 4).set([0xf4], at);
  expect(() => decodeHeader(header)).toThrow(/segment 7: its vendor data are past the header/);
});

test.each<[string, Partial<NbiHeader>, RegExp]>([
  ['no segment', { segments: [] }, /one segment at least/],
  ['too many', { segments: Array.from({ length: 31 }, () => EXAMPLE.segments[0]!) }, /do not fit the header/],
  ['a large address', { entry: 2 ** 32 }, /does not fit 32 bits/],
  ['a large segment', { location: { segment: 65536, offset: 0 } }, /does not fit 16 bits/],
  ['odd vendor data', { vendor: new Uint8Array(3) }, /vendor data of 3 bytes/],
  ['long vendor data', { vendor: new Uint8Array(64) }, /vendor data of 64 bytes/],
  ['a large tag', { segments: [{ ...EXAMPLE.segments[0]!, tag: 256 }] }, /tag 256 is no byte/],
])('not encoded: %s', (_, change, message) => {
  expect(() => encodeHeader({ ...EXAMPLE, ...change })).toThrow(message);
});

const word = fc.integer({ min: 0, max: 0xffffffff });
const far = fc.record({
  segment: fc.integer({ min: 0, max: 65535 }),
  offset: fc.integer({ min: 0, max: 65535 }),
});
const vendor = (max: number) =>
  fc.integer({ min: 0, max }).chain((words) => fc.uint8Array({ minLength: words * 4, maxLength: words * 4 }));
const anyHeader: fc.Arbitrary<NbiHeader> = fc.record({
  location: far,
  entry: fc.oneof(far, word),
  returns: fc.boolean(),
  vendor: vendor(15),
  segments: fc.array(
    fc.record({
      tag: fc.integer({ min: 0, max: 255 }),
      placement: fc.constantFrom(...PLACEMENTS),
      address: word,
      fileBytes: word,
      memoryBytes: word,
      vendor: vendor(3),
    }),
    { minLength: 1, maxLength: 15 },
  ),
});

test('what is encoded is decoded', () => {
  fc.assert(
    fc.property(anyHeader, (header) => {
      expect(decodeHeader(encodeHeader(header))).toEqual(header);
    }),
  );
});

test('of any bytes: a header that encodes to them, or an NbiError', () => {
  const spoilt = fc.array(fc.tuple(fc.integer({ min: 4, max: 511 }), fc.integer({ min: 0, max: 255 })), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(anyHeader, spoilt, fc.integer({ min: 0, max: 512 }), (header, changes, length) => {
      const image = encodeHeader(header);
      for (const [at, value] of changes) image[at] = value;
      const cut = length < 500 ? image : image.subarray(0, length);
      let decoded: NbiHeader;
      try {
        decoded = decodeHeader(cut);
      } catch (error) {
        expect(error).toBeInstanceOf(NbiError);
        return;
      }
      // What lies behind the last record is nobody's.
      const again = encodeHeader(decoded);
      const used =
        16 + decoded.vendor.length + decoded.segments.reduce((sum, s) => sum + 16 + s.vendor.length, 0);
      expect(again.subarray(0, used)).toEqual(image.subarray(0, used));
    }),
    { numRuns: 2000 },
  );
});
