/** The bytes of a pack's index, and which are refused. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeIndex,
  encodeIndex,
  indexLength,
  PACK_HEADER_SIZE,
  PackError,
  type PackRun,
} from '../../imager/packs/pack.ts';

const GOLDEN = Buffer.from(
  [
    '42575041434b3031', // "BWPACK01"
    '7dbe5cdf', // CRC-32 of the rest
    '00100000', // blocks of 4096 bytes
    '0050000000000000', // a disk of five of them
    'ab'.repeat(32), // SHA-256 of its base
    '04030201', // CRC-32 of the trace
    '02000000', // 2 runs
    '01000000', // 1 block with content
    '0400000001000000', // block 4
    '0000000002000080', // blocks 0 and 1, which are zeroes
    '78782c7b', // CRC-32 of 4096 times 5
  ].join(''),
  'hex',
);

const INDEX = {
  size: 5 * 4096,
  digest: 'ab'.repeat(32),
  trace: 0x01020304,
  runs: [
    { block: 4, count: 1, zero: false },
    { block: 0, count: 2, zero: true },
  ] as PackRun[],
  checksums: Uint32Array.of(0x7b2c7878),
};

describe('the index of a pack', () => {
  it('has these bytes', () => {
    expect(encodeIndex(INDEX).toString('hex')).toBe(GOLDEN.toString('hex'));
    expect(decodeIndex(GOLDEN)).toEqual(INDEX);
    expect(indexLength(GOLDEN.subarray(0, PACK_HEADER_SIZE))).toBe(GOLDEN.length);
  });

  it('is refused where a bit is wrong or bytes are missing', () => {
    fc.assert(
      fc.property(fc.nat(GOLDEN.length * 8 - 1), (bit) => {
        const bent = Buffer.from(GOLDEN);
        bent[bit >>> 3]! ^= 1 << (bit & 7);
        expect(() => decodeIndex(bent)).toThrow(PackError);
        expect(() => decodeIndex(GOLDEN.subarray(0, bit >>> 3))).toThrow(PackError);
      }),
    );
  });

  it.each([
    ['a block twice', { runs: [...INDEX.runs, { block: 1, count: 1, zero: true }] }, 'twice'],
    ['an empty run', { runs: [...INDEX.runs, { block: 3, count: 0, zero: true }] }, 'empty'],
    ['a block past the end', { runs: [{ block: 5, count: 1, zero: false }] }, 'block 5 of 5'],
    ['content for more blocks than it has', { checksums: Uint32Array.of(1, 2) }, '2 blocks of content for 1'],
  ])('with %s is refused, checksum or not', (_what, change, words) => {
    expect(() => decodeIndex(encodeIndex({ ...INDEX, ...change }))).toThrow(words);
  });

  it('says no length that would take all memory', () => {
    const large = Buffer.from(GOLDEN);
    large.writeUInt32LE(0xffffffff, 60);
    expect(() => indexLength(large)).toThrow('too large');
  });
});
