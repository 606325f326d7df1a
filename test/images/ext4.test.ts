import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DiskEntry, fingerprint, writeExt4 } from '../../imager/images/ext4.ts';
import { inOrder } from '../../imager/images/root-files.ts';

const layout = { bytes: 32 * 1024 * 1024, label: 'test', uuid: '6f2a4f5c-94d4-4c61-9d9e-0b0075a64bff' };
const entries = inOrder([
  { path: 'etc/deep/down/file', type: 'file', content: Buffer.from('deep'), mode: 0o600 },
  { path: 'after', type: 'directory', mode: 0o1777, owner: 33 },
  { path: 'big', type: 'file', content: Buffer.alloc(300_000, 'xyz') },
  { path: 'empty', type: 'file', content: new Uint8Array(), mode: 0o4755 },
  { path: 'etc/link', type: 'symlink', target: '../big' },
  { path: 'usr/bin/[', type: 'symlink', target: `/${'long/'.repeat(30)}target` },
]);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ext4-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('what debugfs reads back is what was asked for', async () => {
  const image = join(dir, 'disk.img');
  await writeExt4(image, entries, layout);
  execFileSync('e2fsck', ['-fn', image], { stdio: 'ignore' });
  execFileSync('debugfs', ['-R', `rdump / ${dir}`, image], { stdio: 'ignore' });
  const at = (path: string) => join(dir, path);
  expect(readFileSync(at('etc/deep/down/file'), 'utf8')).toBe('deep');
  expect(lstatSync(at('etc/deep/down/file')).mode & 0o7777).toBe(0o600);
  expect(readFileSync(at('big'))).toEqual(Buffer.alloc(300_000, 'xyz'));
  expect(statSync(at('empty')).size).toBe(0);
  const listed = String(
    execFileSync('debugfs', ['-R', 'ls -l /', image], { stdio: ['ignore', 'pipe', 'ignore'] }),
  );
  // rdump leaves these bits out.
  expect(listed).toMatch(/\b41777 \(2\)\s+33\s+33\s.* after\n/);
  expect(listed).toMatch(/\b104755 \(1\)\s+0\s+0\s+0 .* empty\n/);
  const times = String(execFileSync('dumpe2fs', ['-h', image], { stdio: ['ignore', 'pipe', 'ignore'] }));
  expect(times).toMatch(/created: +Thu Jan +1 00:00:01 1970/);
  expect(listed.match(/1-Jan-1970/g)).toHaveLength(listed.match(/\n(?=.)/g)!.length + 1);
  expect(readlinkSync(at('etc/link'))).toBe('../big');
  expect(readlinkSync(at('usr/bin/['))).toBe(`/${'long/'.repeat(30)}target`);
});

test('the same entries give the same bytes, in a sparse file, and nothing is left beside it', async () => {
  await writeExt4(join(dir, 'a.img'), entries, layout);
  await writeExt4(join(dir, 'b.img'), entries, layout);
  expect(readFileSync(join(dir, 'a.img')).equals(readFileSync(join(dir, 'b.img')))).toBe(true);
  expect(statSync(join(dir, 'a.img')).size).toBe(layout.bytes);
  expect(statSync(join(dir, 'a.img')).blocks * 512).toBeLessThan(layout.bytes / 2);
  expect(readdirSync(dir).sort()).toEqual(['a.img', 'b.img']);
});

test('the fingerprint changes with anything that changes the bytes', () => {
  const base = fingerprint(entries, layout);
  const change = (index: number, entry: DiskEntry) => fingerprint(entries.with(index, entry), layout);
  expect(fingerprint([...entries], { ...layout })).toBe(base);
  const prints = [
    change(0, { path: 'other', type: 'directory' }),
    change(1, { path: 'big', type: 'file', content: Buffer.from('other') }),
    change(1, { path: 'big', type: 'file', content: Buffer.alloc(300_000, 'xyz'), mode: 0o755 }),
    fingerprint(entries, { ...layout, uuid: layout.uuid.replace('6', '7') }),
  ];
  expect(new Set([base, ...prints]).size).toBe(prints.length + 1);
});

test('too much for the disk is refused, and so are paths debugfs would split', async () => {
  const large: DiskEntry = { path: 'large', type: 'file', content: Buffer.alloc(40 * 1024 * 1024, 1) };
  await expect(writeExt4(join(dir, 'a.img'), [large], layout)).rejects.toThrow(/debugfs could not fill .*/);
  for (const path of ['a b', 'a"', '/a', 'a/', 'a\nrm b'])
    await expect(writeExt4(join(dir, 'a.img'), [{ path, type: 'directory' }], layout)).rejects.toThrow(
      /no path/,
    );
  const orphan: DiskEntry = { path: 'no/where', type: 'directory' };
  await expect(writeExt4(join(dir, 'a.img'), [orphan], layout)).rejects.toThrow(/debugfs could not fill/);
  expect(readdirSync(dir)).toEqual([]);
});

test('a path that comes twice is refused', () => {
  expect(() => inOrder([...entries, { path: 'big', type: 'directory' }])).toThrow('big comes twice');
});
