/** Traces: their bytes, and how they grow. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blocksIn,
  blocksOf,
  decodeTrace,
  encodeTrace,
  grown,
  MAX_TRACED_BLOCKS,
  RunList,
  type Trace,
  TraceError,
  WORTH_ADDING,
} from '../../imager/packs/trace.ts';

const IMAGE = { size: 2 ** 28 - 100, digest: '0123456789abcdef'.repeat(4) };

const GOLDEN = Buffer.from(
  [
    '4257545241434531', // "BWTRACE1"
    '441deaf3', // CRC-32 of the rest
    '00100000', // blocks of 4096 bytes
    '9cffff0f00000000', // size of the image
    '0123456789abcdef'.repeat(4), // its SHA-256
    '02000000', // 2 boots
    '02000000', // 2 runs
    '0700000001000000', // block 7
    '0000000003000000', // blocks 0 to 2
  ].join(''),
  'hex',
);

describe('the file', () => {
  const runs = [
    { block: 7, count: 1 },
    { block: 0, count: 3 },
  ];

  it('has these bytes', () => {
    expect(encodeTrace({ ...IMAGE, boots: 2, runs }).toString('hex')).toBe(GOLDEN.toString('hex'));
    expect(decodeTrace(GOLDEN, IMAGE)).toEqual({ ...IMAGE, boots: 2, runs });
  });

  it('is refused where a bit is wrong, bytes are missing, or it is of another image', () => {
    fc.assert(
      fc.property(fc.nat(GOLDEN.length * 8 - 1), (bit) => {
        const bent = Buffer.from(GOLDEN);
        bent[bit >>> 3]! ^= 1 << (bit & 7);
        expect(() => decodeTrace(bent, IMAGE)).toThrow(TraceError);
        expect(() => decodeTrace(GOLDEN.subarray(0, bit >>> 3), IMAGE)).toThrow(TraceError);
      }),
    );
    expect(() => decodeTrace(GOLDEN, { ...IMAGE, size: IMAGE.size + 1 })).toThrow('of another image');
    expect(() => decodeTrace(GOLDEN, { ...IMAGE, digest: 'ff'.repeat(32) })).toThrow('of another image');
  });

  it.each([
    [
      'block 5 twice',
      [
        { block: 5, count: 1 },
        { block: 3, count: 3 },
      ],
      'twice',
    ],
    ['an empty run', [{ block: 5, count: 0 }], 'empty'],
    ['a block past the end', [{ block: 65_535, count: 2 }], 'block 65536 of 65536'],
    ['too many', [{ block: 0, count: MAX_TRACED_BLOCKS + 1 }], 'too many'],
  ])('with %s is refused, checksum or not', (_what, bad, words) => {
    expect(() => decodeTrace(encodeTrace({ ...IMAGE, boots: 1, runs: bad }), IMAGE)).toThrow(words);
  });
});

describe('growing', () => {
  const trace = (blocks: number[]): Trace => {
    const list = new RunList();
    for (const block of blocks) list.add(block);
    return { ...IMAGE, boots: 1, runs: list.runs };
  };
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  it('keeps the order there is and puts new blocks behind it', () => {
    const stored = trace([50, 51, 3]);
    const next = grown(stored, IMAGE, trace([3, ...range(100, 100 + WORTH_ADDING), 51, 4]).runs)!;
    expect(next.runs).toEqual([
      { block: 50, count: 2 },
      { block: 3, count: 1 },
      { block: 100, count: WORTH_ADDING },
      { block: 4, count: 1 },
    ]);
    expect(next.boots).toBe(2);
  });

  it('leaves a trace as it is for a handful of blocks, but begins one with any', () => {
    expect(grown(trace([1]), IMAGE, trace(range(2, 1 + WORTH_ADDING)).runs)).toBeUndefined();
    expect(grown(undefined, IMAGE, [{ block: 1, count: 1 }])).toMatchObject({ boots: 1 });
    expect(grown(undefined, IMAGE, [])).toBeUndefined();
  });

  it('is bounded, and never has a block twice', () => {
    const blocks = fc.array(fc.nat(65_535), { maxLength: 300 });
    fc.assert(
      fc.property(blocks, blocks, (a, b) => {
        const first = grown(undefined, IMAGE, trace([...new Set(a)]).runs);
        const both = grown(first, IMAGE, trace([...new Set(b)]).runs) ?? first;
        if (both === undefined) return;
        const all = both.runs.flatMap(blocksOf);
        expect(new Set(all).size).toBe(all.length);
        expect(decodeTrace(encodeTrace(both), IMAGE)).toEqual(both);
      }),
    );
    const full = grown(undefined, IMAGE, [{ block: 0, count: MAX_TRACED_BLOCKS + 5 }])!;
    expect(blocksIn(full.runs)).toBe(MAX_TRACED_BLOCKS);
    expect(grown(full, IMAGE, [{ block: 60_000, count: 100 }])).toBeUndefined();
  });
});
