/** What sectors a device needs for what is on it, with real file systems. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { HEAD_LENGTH, sectorSizeOf } from '../../imager/disks/file-system.ts';

const MIB = 2 ** 20;
const client = { address: '10.0.0.1' };

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'file-system-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

function made(mib: number, program: string, ...options: string[]): string {
  const file = join(dir, 'image');
  rmSync(file, { force: true });
  writeFileSync(file, '');
  truncateSync(file, mib * MIB);
  execFileSync(program, [...options, file], { stdio: 'pipe' });
  return file;
}

function sectorsOf(file: string): number {
  const head = Buffer.alloc(HEAD_LENGTH);
  const fd = openSync(file, 'r');
  const count = readSync(fd, head, 0, head.length, 0);
  closeSync(fd);
  return sectorSizeOf(head.subarray(0, count));
}

test.each([1024, 2048, 4096])('ext4 of blocks of %i bytes', (size) => {
  expect(sectorsOf(made(16, 'mkfs.ext4', '-q', '-F', '-b', String(size)))).toBe(size);
});

test.each([512, 4096])('XFS of sectors of %i bytes', (size) => {
  expect(sectorsOf(made(320, 'mkfs.xfs', '-q', '-f', '-s', `size=${size}`))).toBe(size);
});

test('partition tables', () => {
  const disk = Buffer.alloc(HEAD_LENGTH);
  disk.writeUInt16BE(0x55aa, 510);
  expect(sectorSizeOf(disk)).toBe(512);
  disk.write('EFI PART', 512);
  expect(sectorSizeOf(disk)).toBe(512);
  disk.fill(0, 512).write('EFI PART', 4096);
  expect(sectorSizeOf(disk)).toBe(4096);
});

test('what nobody knows, however short or strange, has blocks of 4096 bytes', () => {
  for (const length of [0, 1, 511, 1100, HEAD_LENGTH]) expect(sectorSizeOf(Buffer.alloc(length))).toBe(4096);
  const ext4 = Buffer.alloc(HEAD_LENGTH);
  ext4.writeUInt16LE(0xef53, 1024 + 56);
  ext4.writeUInt32LE(0xffffffff, 1024 + 24);
  expect(sectorSizeOf(ext4)).toBe(4096);
  const xfs = Buffer.alloc(HEAD_LENGTH);
  xfs.write('XFSB');
  for (const [said, size] of [
    [0, 512],
    [1000, 512],
    [0xffff, 4096],
  ] as const) {
    xfs.writeUInt16BE(said, 102);
    expect(sectorSizeOf(xfs)).toBe(size);
  }
});

test('clients hear it of the base and of disks over it; what is stored is in blocks of 4096 bytes all the same', async () => {
  const state = join(dir, 'state');
  const disks = await Disks.open({ dir: state, log: pino({ level: 'silent' }) });
  await disks.addBase('small', made(16, 'mkfs.ext4', '-q', '-F', '-b', '1024'));
  await disks.create('n1', 'small');
  const facts = { size: 16 * MIB, blockSize: 1024 };
  expect(disks.describe('base:small', client)).toEqual({ ...facts, readOnly: true });
  expect(disks.describe('n1', client)).toEqual({ ...facts, readOnly: false });
  const disk = await disks.open('n1', client);
  expect(disk).toMatchObject({ blockSize: 4096 });
  expect(disks.describe('n1', client)).toEqual({ ...facts, readOnly: false });
  // An image that is gone is told by whoever opens it.
  rmSync(join(state, 'bases/small.img'));
  expect(disks.describe('n1', client)).toMatchObject({ blockSize: 4096 });
  await disks.close();
});
