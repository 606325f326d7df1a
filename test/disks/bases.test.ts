/** What base images are made of, and what can go wrong with that. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Bases } from '../../imager/disks/bases.ts';
import { SystemFile } from '../../imager/disks/block-file.ts';
import { handles, systemError } from '../support/file-handles.ts';
import { synced } from '../support/noted-syncs.ts';

const MIB = 2 ** 20;
vi.mock('node:fs', async () => (await import('../support/noted-syncs.ts')).notingSyncs());

let dir: string;
let file: string;
let bases: Bases;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'bases-')));
  file = join(dir, 'image');
  writeFileSync(file, Buffer.alloc(3 * MIB, 7));
  bases = Bases.open(join(dir, 'bases'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await bases.close();
  rmSync(dir, { recursive: true });
});

const entries = (): string[] => readdirSync(join(dir, 'bases')).sort();

test('what is no plain file is told for what it is, and nobody waits for it', async () => {
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  symlinkSync(join(dir, 'fifo'), join(dir, 'to-fifo'));
  await expect(bases.add('a', join(dir, 'fifo'))).rejects.toThrow(/fifo is a FIFO, not a file/);
  await expect(bases.add('a', join(dir, 'to-fifo'))).rejects.toThrow(/is a FIFO, not a file/);
  await expect(bases.add('a', '/dev/zero')).rejects.toThrow('/dev/zero is a device, not a file');
  await expect(bases.add('a', dir)).rejects.toThrow(/is a folder, not a file/);
  await expect(bases.add('a', join(dir, 'gone'))).rejects.toThrow(
    `${join(dir, 'gone')} cannot be read: there is no such file (ENOENT)`,
  );
  expect(entries()).toEqual([]);
});

test('a file that is written to while it is copied is not taken in', async () => {
  const proto = await handles();
  const { read } = proto;
  let reads = 0;
  vi.spyOn(proto, 'read').mockImplementation(async function (this: typeof proto, ...args: unknown[]) {
    const result = await (read as (...all: unknown[]) => Promise<unknown>).apply(this, args);
    // Behind what was read already: what is read has never been there at once.
    if (++reads === 2) utimesSync(file, 1, 2);
    return result as never;
  });
  await expect(bases.add('a', file)).rejects.toThrow(`${file} was written to while it was copied`);
  expect(reads).toBe(3);
  expect(entries()).toEqual([]);
  vi.restoreAllMocks();
  await bases.add('a', file);
});

test('no space, and a drive that fails, are told in words with the name of the file', async () => {
  const proto = await handles();
  const image = join(dir, 'bases/a.img');
  vi.spyOn(proto, 'write').mockRejectedValue(systemError('ENOSPC', -28));
  await expect(bases.add('a', file)).rejects.toThrow(
    `${image} cannot be written: no space is left on the file system (ENOSPC)`,
  );
  vi.restoreAllMocks();
  vi.spyOn(proto, 'sync').mockRejectedValue(systemError('EIO', -5));
  await expect(bases.add('a', file)).rejects.toThrow(`${image} cannot be written: its drive failed (EIO)`);
  vi.restoreAllMocks();
  vi.spyOn(proto, 'read').mockRejectedValue(systemError('EIO', -5));
  await expect(bases.add('a', file)).rejects.toThrow(`${file} cannot be read: its drive failed (EIO)`);
  expect(entries()).toEqual([]);
});

test('while an image is added the share of it that was read is known', async () => {
  const proto = await handles();
  const { read } = proto;
  const shares: unknown[] = [];
  vi.spyOn(proto, 'read').mockImplementation(async function (this: typeof proto, ...args: unknown[]) {
    shares.push(bases.progress('a'));
    return (await (read as (...all: unknown[]) => Promise<unknown>).apply(this, args)) as never;
  });
  await bases.add('a', file);
  expect(shares).toEqual([0, 1 / 3, 2 / 3]);
  expect(bases.progress('a')).toBe(null);
  vi.restoreAllMocks();
});

test('a write that the file system takes in parts only is written to its end', async () => {
  const proto = await handles();
  const write = proto.write as (...all: unknown[]) => Promise<unknown>;
  // As where the space comes to its end.
  vi.spyOn(proto, 'write').mockImplementation(async function (this: typeof proto, ...args: unknown[]) {
    const [bytes, from, length, at] = args;
    return (await write.call(this, bytes, from, Math.ceil((length as number) / 2), at)) as never;
  });
  await bases.add('a', file);
  vi.restoreAllMocks();
  expect(readFileSync(join(dir, 'bases', 'a.img')).equals(readFileSync(file))).toBe(true);
});

test('an image that is there already is durable when it was added again', async () => {
  const added = await bases.add('a', file);
  synced.length = 0;
  expect(await bases.add('a', file)).toEqual(added);
  expect(synced).toEqual([join(dir, 'bases')]);
});

test('verify reads all of an image and says what is wrong with it', async () => {
  await bases.add('a', file);
  let read = 0;
  const took = (bytes: number): void => {
    read += bytes;
  };
  const looking = Bases.at(join(dir, 'bases'));
  expect(await looking.verify('a', took)).toBeUndefined();
  expect(read).toBe(3 * MIB);
  const image = join(dir, 'bases/a.img');
  chmodSync(image, 0o644);
  const content = readFileSync(image);
  content[2 * MIB]! ^= 1;
  writeFileSync(image, content);
  expect(await looking.verify('a', took)).toMatch(/^base image "a" is damaged: its content has sha256 /);
  writeFileSync(image, content.subarray(1));
  expect(await looking.verify('a', took)).toContain(`its image has ${3 * MIB - 1} bytes, not ${3 * MIB}`);
  await expect(looking.verify('b', took)).rejects.toThrow('no base image "b"; there is: a');
});

test('an image whose file cannot be asked any more is an error for who reads it, not for the process', async () => {
  await bases.add('a', file);
  const content = await bases.content('a');
  vi.spyOn(SystemFile.prototype, 'modified').mockImplementation(() => {
    throw systemError('ESTALE', -116);
  });
  bases.look();
  expect(() => content.intact()).toThrow('base image "a" cannot be looked at any more: ESTALE');
});

test.each([
  ['is gone', (image: string) => rmSync(image)],
  ['has other content', (image: string) => writeFileSync(image, Buffer.alloc(3 * MIB, 8))],
  ['has another length', (image: string) => writeFileSync(image, 'short')],
] as const)('adding the same image again puts a file back that %s', async (_what, spoil) => {
  const added = await bases.add('a', file);
  const image = join(dir, 'bases/a.img');
  chmodSync(image, 0o644);
  spoil(image);
  await expect(bases.content('a')).rejects.toThrow('adding the same image again puts it back');
  expect(bases.views()).toEqual([expect.objectContaining({ name: 'a', damage: expect.any(String) })]);
  const other = join(dir, 'other');
  writeFileSync(other, Buffer.alloc(3 * MIB, 9));
  await expect(bases.add('a', other)).rejects.toThrow('base image "a" exists with other content');
  expect(await bases.add('a', file)).toEqual(added);
  expect(readFileSync(image).equals(readFileSync(file))).toBe(true);
  expect(bases.views()).toEqual([added]);
  bases.release(await bases.content('a'));
  expect(entries()).toEqual(['a.img', 'a.json', 'a.zeros']);
});
