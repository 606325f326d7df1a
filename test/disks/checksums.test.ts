import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checksums, firstWrong } from '../../imager/disks/checksums.ts';
import { checksumsHere, hasHostCalls } from '../../imager/disks/host.ts';

const BLOCK = 4096;

/** Bytes of which no two places are alike for long, from a seed. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

test('checksums are CRC-32 as zlib has it', () => {
  const zeroes = new Uint8Array(BLOCK);
  expect([...checksums(zeroes)]).toEqual([0xc71c0011]);
  expect([...checksums(new Uint8Array(BLOCK).fill(0xff))]).toEqual([0xf154670a]);
});

test('each block has its own, wherever the range begins in memory', () => {
  const ranges = fc.record({
    seed: fc.nat(),
    blocks: fc.integer({ min: 0, max: 9 }),
    skip: fc.integer({ min: 0, max: 70 }),
  });
  fc.assert(
    fc.property(ranges, ({ seed, blocks, skip }) => {
      const range = noise(skip + blocks * BLOCK + 7, seed).subarray(skip, skip + blocks * BLOCK);
      const expected = Array.from({ length: blocks }, (_, i) =>
        crc32(range.subarray(i * BLOCK, (i + 1) * BLOCK)),
      );
      expect([...checksums(range)]).toEqual(expected);
      for (const width of [128, 256, 512] as const) {
        const crcs = new Uint32Array(blocks);
        if (checksumsHere(range, crcs, width)) expect([...crcs]).toEqual(expected);
      }
    }),
  );
});

test('one changed bit is found, and in which block', () => {
  const bit = fc.integer({ min: 0, max: 6 * BLOCK * 8 - 1 });
  fc.assert(
    fc.property(fc.nat(), bit, fc.nat(9), (seed, at, from) => {
      const range = noise(6 * BLOCK, seed);
      const entries = new Uint32Array(2 * (from + 6));
      checksums(range).forEach((crc, i) => {
        entries[2 * (from + i) + 1] = crc;
      });
      expect(firstWrong(range, entries, from)).toBe(-1);
      range[at >> 3]! ^= 1 << (at & 7);
      expect(firstWrong(range, entries, from)).toBe((at >> 3) >> 12);
    }),
  );
});

test('where host.c is built, and the processor can, it is what makes them', () => {
  const can = hasHostCalls() && /\bpclmulqdq\b/.test(readFileSync('/proc/cpuinfo', 'latin1'));
  expect(checksumsHere(new Uint8Array(BLOCK), new Uint32Array(1))).toBe(can);
});
