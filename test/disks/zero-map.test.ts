/** Which blocks of a base are zeroes: golden bytes, damage, and the runs against a plain array. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import type { Extent } from '../../imager/disks/disk.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';
import { attached } from './attached.ts';

const BLOCK = 4096;
const DIGEST = '0123456789abcdef'.repeat(4);

/** An image with the blocks of `zero` all zero, the others not; the last one is short. */
function imageOf(zero: boolean[]): Buffer {
  const image = Buffer.alloc(zero.length * BLOCK - 100);
  zero.forEach((hole, block) => {
    // The last byte alone tells: a look at the beginning is not enough.
    if (!hole) image[Math.min(image.length, (block + 1) * BLOCK) - 1] = 1;
  });
  return image;
}

test('the file, byte by byte', () => {
  const map = new ZeroMap(10 * BLOCK - 100);
  map.note(imageOf([true, false, false, true, true, false, false, false, false, true]), 0);
  const bytes = map.encode(DIGEST);
  expect(bytes.toString('hex')).toBe(
    [
      '42575a45524f5331', // "BWZEROS1"
      DIGEST,
      '9c9f000000000000', // 40860 bytes
      'ca76f343', // CRC-32
      '19', // blocks 0, 3, 4
      '02', // block 9
    ].join(''),
  );
  expect(ZeroMap.decode(bytes, 10 * BLOCK - 100, DIGEST)?.extents(0, 10 * BLOCK - 100, 9)).toEqual([
    { length: BLOCK, state: 'hole', dirty: false },
    { length: 2 * BLOCK, state: 'data', dirty: false },
    { length: 2 * BLOCK, state: 'hole', dirty: false },
    { length: 4 * BLOCK, state: 'data', dirty: false },
    { length: BLOCK - 100, state: 'hole', dirty: false },
  ]);
  for (let at = 0; at < bytes.length; at++)
    expect(ZeroMap.decode(Buffer.from(bytes.with(at, bytes[at]! ^ 0x10)), 10 * BLOCK - 100, DIGEST)).toBe(
      undefined,
    );
  expect(ZeroMap.decode(bytes, 10 * BLOCK - 99, DIGEST)).toBeUndefined();
  expect(ZeroMap.decode(bytes.subarray(1), 10 * BLOCK - 100, DIGEST)).toBeUndefined();
  expect(ZeroMap.decode(bytes, 10 * BLOCK - 100, 'f'.repeat(64))).toBeUndefined();
});

test('runs are what the image has, wherever one begins and however few one wants', () => {
  const images = fc.array(fc.boolean(), { minLength: 1, maxLength: 60 });
  const places = fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  );
  fc.assert(
    fc.property(images, places, fc.integer({ min: 1, max: 5 }), (zero, [one, other], most) => {
      const image = imageOf(zero);
      const map = new ZeroMap(image.length);
      const cut = Math.ceil(zero.length / 2) * BLOCK;
      map.note(image.subarray(0, cut), 0);
      map.note(image.subarray(cut), cut);
      const offset = Math.floor(Math.min(one, other) * (image.length - 1));
      const length = Math.max(1, Math.floor(Math.max(one, other) * image.length) - offset);
      const extents = map.extents(offset, length, most);
      expect(extents.length).toBeLessThanOrEqual(most);
      let at = offset;
      for (const extent of extents) {
        for (const edge of [at, at + extent.length - 1])
          expect(extent.state).toBe(zero[Math.floor(edge / BLOCK)] ? 'hole' : 'data');
        at += extent.length;
      }
      if (extents.length < most) expect(at).toBe(offset + length);
      const neighbours = extents.map((extent: Extent) => extent.state);
      neighbours.slice(1).forEach((state, i) => {
        expect(state).not.toBe(neighbours[i]);
      });
    }),
  );
});

test('a store: the base tells its holes, a disk what it changed; a map that is damaged or gone tells of no holes', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'zero-map-'));
  const log = pino({ level: 'silent' });
  const open = async (): Promise<{ base: Extent[]; disk: Extent[] }> => {
    const disks = await Disks.open({ dir, log });
    const kinds = await Promise.all(
      ['base:b', 'd'].map(async (name) => {
        const disk = await attached(disks, name);
        return disk.extents(0, 8 * BLOCK, 9);
      }),
    );
    await disks.close();
    return { base: kinds[0]!, disk: kinds[1]! };
  };
  const image = Buffer.concat([
    imageOf([false, true, true, true, true, true, true, false]),
    Buffer.alloc(100),
  ]);
  writeFileSync(join(dir, 'image'), image);
  const disks = await Disks.open({ dir, log });
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('d', 'b');
  const disk = await attached(disks, 'd');
  await disk.write(Buffer.alloc(10, 1), 2 * BLOCK);
  await disk.trim(0, BLOCK);
  await disks.close();
  const [data, hole] = [
    (blocks: number, dirty: boolean): Extent => ({ length: blocks * BLOCK, state: 'data', dirty }),
    (blocks: number, dirty: boolean): Extent => ({ length: blocks * BLOCK, state: 'hole', dirty }),
  ];
  expect(await open()).toEqual({
    base: [data(1, false), hole(6, false), data(1, false)],
    disk: [hole(1, true), hole(1, false), data(1, true), hole(4, false), data(1, false)],
  });
  const path = join(dir, 'bases', 'b.zeros');
  const good = readFileSync(path);
  writeFileSync(path, good.with(-1, 0xff));
  expect((await open()).base).toEqual([data(8, false)]);
  rmSync(path);
  expect((await open()).disk).toEqual([hole(1, true), data(1, false), data(1, true), data(5, false)]);
  rmSync(dir, { recursive: true });
});
