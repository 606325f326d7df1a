import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SystemFile } from '../../imager/disks/block-file.ts';
import { hasHostCalls } from '../../imager/disks/host.ts';

const BLOCK = 4096;
const TMPFS = 0x01021994;

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'system-file-'));
  path = join(dir, 'file');
  writeFileSync(
    path,
    Uint8Array.from({ length: 3 * BLOCK }, (_, i) => i % 251),
    { flush: true },
  );
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A clock that is five milliseconds on whenever it is asked. */
function rushing(): () => number {
  let time = 0;
  return () => {
    time += 5;
    return time;
  };
}

test('what was written at once is what is read at once, and in the file', () => {
  const file = new SystemFile(path, 'r+');
  const memory = new Uint8Array(3 * BLOCK).fill(9);
  file.writeNow(memory.subarray(100, 100 + BLOCK), 500);
  const expected = readFileSync(path);
  expect([...new Set(expected.subarray(500, 500 + BLOCK))]).toEqual([9]);
  expect(expected.subarray(0, 500).includes(9, 20)).toBe(true);
  file.readNow(memory.subarray(7, 7 + 2 * BLOCK), 300);
  expect(Buffer.compare(memory.subarray(7, 7 + 2 * BLOCK), expected.subarray(300, 300 + 2 * BLOCK))).toBe(0);
  expect([...new Set(memory.subarray(0, 7)), ...new Set(memory.subarray(7 + 2 * BLOCK))]).toEqual([9, 9]);
  file.close();
});

test('errors are those of a disk: a file that is too short, one that may not be written', () => {
  const file = new SystemFile(path, 'r');
  expect(() => file.readNow(new Uint8Array(BLOCK), 2 * BLOCK + 1)).toThrow(/ends before offset 12288/);
  expect(() => file.writeNow(new Uint8Array(10), 0)).toThrow(
    expect.objectContaining({ code: 'EIO', message: expect.stringContaining('EBADF') }),
  );
  file.close();
  expect(() => new SystemFile('/dev/full', 'r+').writeNow(new Uint8Array(10), 0)).toThrow(
    expect.objectContaining({ code: 'ENOSPC' }),
  );
});

test('a call that only took long, other threads having the processor, is no sign of a slow drive', () => {
  const file = new SystemFile(path, 'r+', rushing());
  file.readNow(new Uint8Array(BLOCK), 0);
  // Where nothing tells the two apart, it is taken for one.
  expect(file.prompt(BLOCK)).toBe(hasHostCalls());
  file.close();
});

test('a call that waited for the drive is', (context) => {
  if (statfsSync(dir).type === TMPFS) context.skip();
  const file = new SystemFile(path, 'r', rushing());
  // Out of the page cache.
  execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
  file.readNow(new Uint8Array(BLOCK), 0);
  expect(file.prompt(BLOCK)).toBe(false);
  file.close();
});

test('a file that grows has space ahead, but is not longer for it, and gives it back when it is closed', () => {
  const file = new SystemFile(path, 'r+');
  const length = 64 * 1024;
  file.writeNow(new Uint8Array(length), 3 * BLOCK);
  expect(file.size()).toBe(3 * BLOCK + length);
  // Where the file system can do that.
  const ahead = statSync(path).blocks * 512 >= 2 ** 20;
  expect(ahead).toBe(hasHostCalls());
  file.close();
  const { size, blocks } = statSync(path);
  expect(size).toBe(3 * BLOCK + length);
  expect(blocks * 512).toBeLessThan(2 ** 20);
});

test('whoever did not make a file longer leaves its end alone when he closes it', () => {
  const owner = new SystemFile(path, 'r+');
  owner.writeNow(new Uint8Array(BLOCK), 3 * BLOCK);
  const other = new SystemFile(path, 'r+');
  owner.truncate(BLOCK);
  const before = statSync(path, { bigint: true }).ctimeNs;
  other.close();
  expect(statSync(path, { bigint: true }).ctimeNs).toBe(before);
  owner.close();
});
