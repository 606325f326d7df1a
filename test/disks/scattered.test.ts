/** A disk whose blocks lie apart in its file, each one a run of its own: there may be hundreds of thousands of them. */
import { expect, test } from 'vitest';
import type { BaseContent } from '../../imager/disks/block-reader.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { emptyOverlay } from '../../imager/disks/overlay-file.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';

const BLOCK = 4096;
const BLOCKS = 160 * 1024;
const SIZE = BLOCKS * BLOCK;
const MIB = 1024 * 1024;
const DATA = new Uint8Array(BLOCK).fill(7);

/** A file in memory that leaves DATA out: nobody reads it, and it would be 640 MiB. */
function fileOf(bytes: Uint8Array) {
  const pages = new Map<number, Buffer>();
  let size = 0;
  const pageAt = (page: number): Buffer => {
    const found = pages.get(page) ?? Buffer.alloc(BLOCK);
    pages.set(page, found);
    return found;
  };
  const inPages = (
    length: number,
    offset: number,
    take: (page: Buffer, at: number, done: number, n: number) => void,
  ) => {
    for (let done = 0; done < length; ) {
      const at = (offset + done) % BLOCK;
      const n = Math.min(BLOCK - at, length - done);
      take(pageAt(Math.floor((offset + done) / BLOCK)), at, done, n);
      done += n;
    }
  };
  const put = (source: Uint8Array, offset: number): void => {
    size = Math.max(size, offset + source.length);
    if (source.buffer === DATA.buffer) return;
    inPages(source.length, offset, (page, at, done, n) => page.set(source.subarray(done, done + n), at));
  };
  const get = (target: Uint8Array, offset: number): void =>
    inPages(target.length, offset, (page, at, done, n) => target.set(page.subarray(at, at + n), done));
  put(bytes, 0);
  return {
    ...{
      prompt: () => true,
      readNow: get,
      writeNow: put,
      punch: () => true,
      isAt: () => true,
      close: () => {},
    },
    ...{ part: () => undefined, sync: () => Promise.resolve(), size: () => size },
    truncate: (length: number) => {
      size = length;
    },
    read: async (target: Uint8Array, offset: number) => get(target, offset),
    write: async (source: Uint8Array, offset: number) => put(source, offset),
  };
}

test('trims of more runs than a call takes arguments', async () => {
  const file = fileOf(
    emptyOverlay({ name: 'b', size: SIZE, digest: '00'.repeat(32) }, SIZE, '0123456789abcdef'),
  );
  let salts = 0;
  const salt = (): string => (++salts).toString(16).padStart(16, '0');
  const store = OverlayStore.open(file, { name: 'disk', salt, warn: () => {} });
  const base = { file, size: 0, zeros: new ZeroMap(BLOCK), intact: () => {} };
  const disk = new Overlay('disk', store, base as unknown as BaseContent);
  await store.settled();
  for (const first of [0, 1])
    for (let block = first; block < BLOCKS; block += 2) await disk.write(DATA, block * BLOCK);
  await disk.flush();
  await Promise.all(
    Array.from({ length: SIZE / (128 * MIB) }, (_, i) => disk.trim(i * 128 * MIB, 128 * MIB)),
  );
  await disk.flush();
  expect(disk.extents(0, SIZE, 1000).every(({ state }) => state === 'hole')).toBe(true);
});
