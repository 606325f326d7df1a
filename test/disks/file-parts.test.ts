/** What of a disk may be sent from files as it is: of the base alone, and as the disk would read it. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SystemFile } from '../../imager/disks/block-file.ts';
import { Disks } from '../../imager/disks/catalog.ts';
import type { Disk, FilePart } from '../../imager/disks/disk.ts';
import { grow } from '../../imager/disks/generations.ts';
import { hasHostCalls } from '../../imager/disks/host.ts';
import { eventually } from '../support/eventually.ts';
import { attached } from './attached.ts';

const BLOCK = 4096;
const SIZE = 1024 * BLOCK;
/** The base ends in the midst of a block, and so does the disk until it grows. */
const BASE_SIZE = 600 * BLOCK + 1000;
const LEAST = 3 * BLOCK;
const PROMPT = 64 * BLOCK;

let dir: string;
let disks: Disks;
let disk: Disk;

const open = (name: string) => attached(disks, name);

beforeEach(async () => {
  // However busy the drive is, no call takes long.
  vi.spyOn(performance, 'now').mockReturnValue(1000);
  dir = mkdtempSync(join(tmpdir(), 'file-parts-'));
  writeFileSync(join(dir, 'image'), randomBytes(BASE_SIZE));
  disks = await Disks.open({ dir: join(dir, 'state'), log: pino({ level: 'silent' }) });
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('n1', 'b');
  await disks.withOverlay('n1', ({ store }) => grow(store, SIZE));
  disk = await open('n1');
});

afterEach(async () => {
  vi.restoreAllMocks();
  await disks.close();
  rmSync(dir, { recursive: true });
});

function contentOf(part: FilePart): Buffer {
  const bytes = Buffer.alloc(part.length);
  expect(part.lend((fd, at) => readSync(fd, bytes, 0, bytes.length, at))).toBe(part.length);
  const again = Buffer.alloc(part.length - 1);
  part.readNow(again, 1);
  expect(again.equals(bytes.subarray(1))).toBe(true);
  return bytes;
}

test('runs of the base, as long as they have to be, with what the disk has there; none of the disk’s own', async () => {
  for (const [block, count] of [
    [0, 1],
    [20, 2],
    [100, 40],
    [511, 3],
    [599, 1],
  ] as const)
    await disk.write(randomBytes(count * BLOCK), block * BLOCK);
  await disk.trim(200 * BLOCK, 7 * BLOCK);
  const range = fc.tuple(fc.nat(SIZE - 1), fc.integer({ min: 1, max: PROMPT }));
  await fc.assert(
    fc.asyncProperty(range, async ([offset, most]) => {
      const length = Math.min(most, SIZE - offset);
      const whole = Buffer.alloc(length);
      await disk.read(whole, offset);
      let covered = offset;
      const notCovered: { from: number; to: number }[] = [];
      for (const part of disk.fileParts(offset, length, LEAST)) {
        expect(part.offset).toBeGreaterThanOrEqual(covered);
        expect(part.length).toBeGreaterThanOrEqual(LEAST);
        expect(part.offset + part.length).toBeLessThanOrEqual(Math.min(offset + length, BASE_SIZE));
        const at = part.offset - offset;
        expect(contentOf(part).equals(whole.subarray(at, at + part.length))).toBe(true);
        const extents = disk.extents(part.offset, part.length, 1000);
        expect(extents.some(({ dirty }) => dirty)).toBe(false);
        notCovered.push({ from: covered, to: part.offset });
        covered = part.offset + part.length;
      }
      notCovered.push({ from: covered, to: offset + length });
      // What is left over is not worth it: runs end where a leaf of the map does (512 blocks), too.
      for (const { from, to } of notCovered) {
        let run = 0;
        for (let at = from; at < to; ) {
          const end = Math.min(to, (Math.floor(at / BLOCK) + 1) * BLOCK, at < BASE_SIZE ? BASE_SIZE : to);
          const ofBase = at < BASE_SIZE && !disk.extents(at, end - at, 1)[0]!.dirty;
          run = ofBase ? (at === 512 * BLOCK ? 0 : run) + end - at : 0;
          expect(run).toBeLessThan(LEAST);
          at = end;
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('a base image is one part; ranges that are short or too long for one call are none', async () => {
  const base = await open('base:b');
  const [part, ...others] = base.fileParts(4097, LEAST, LEAST);
  expect([part!.offset, part!.length, others]).toEqual([4097, LEAST, []]);
  const whole = Buffer.alloc(LEAST);
  await base.read(whole, 4097);
  expect(contentOf(part!).equals(whole)).toBe(true);
  for (const each of [base, disk]) {
    expect(each.fileParts(0, LEAST - 1, LEAST)).toEqual([]);
    expect(each.fileParts(0, PROMPT, LEAST)).toHaveLength(1);
    expect(each.fileParts(0, PROMPT + 1, LEAST)).toEqual([]);
  }
  await base.close();
});

test('of a base image that was changed there is nothing', async () => {
  const stored = join(dir, 'state/bases/b.img');
  chmodSync(stored, 0o644);
  const base = await open('base:b');
  const [part] = base.fileParts(0, PROMPT, LEAST);
  truncateSync(stored, BLOCK);
  expect(() => part!.readNow(Buffer.alloc(10), BLOCK)).toThrow(/ends before offset/);
  expect(part!.lend((fd, at) => readSync(fd, Buffer.alloc(PROMPT), 0, PROMPT, at))).toBe(BLOCK);
  for (const each of [base, disk])
    await eventually(() =>
      expect(() => each.fileParts(0, PROMPT, LEAST)).toThrow(
        expect.objectContaining({ code: 'EIO', message: expect.stringContaining('was changed') }),
      ),
    );
  await base.close();
});

test('a part of a file that was closed is lent to nobody', async () => {
  const [part] = disk.fileParts(0, PROMPT, LEAST);
  await disks.close();
  expect(() => part!.lend(() => 1)).toThrow(/is closed/);
});

/** A clock that is five milliseconds on whenever it is asked. */
function rushing(): () => number {
  let time = 0;
  return () => {
    time += 5;
    return time;
  };
}

test('whoever waits for the drive while he sends has the next parts read through the thread pool', () => {
  const sleeps = (): number => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    return 0;
  };
  const file = new SystemFile(join(dir, 'image'), 'r', rushing());
  file.readNow(new Uint8Array(BLOCK), 0);
  // Whoever waits between two calls does not wait for the drive.
  sleeps();
  file.part(0, BLOCK)!.lend(() => statSync(dir).size);
  // Where nothing tells long calls from those that wait, each is taken for one.
  expect(file.part(0, BLOCK) !== undefined).toBe(hasHostCalls());
  const other = new SystemFile(join(dir, 'image'), 'r', rushing());
  other.part(0, BLOCK)!.lend(sleeps);
  expect(other.part(0, BLOCK)).toBe(undefined);
  for (const each of [file, other]) each.close();
});
