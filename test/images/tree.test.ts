import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { NotServed } from '../../imager/images/boot-files.ts';
import { BootTable } from '../../imager/images/table.ts';
import { BootTree, normalisePath, type Served } from '../../imager/images/tree.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { asKernel } from '../support/kernels.ts';

const client = { address: '10.77.0.11' };
const kernel = asKernel('amd64', Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251)));
let dir: string;
let table: BootTable;
let tree: BootTree;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tree-'));
  await writeFile(join(dir, 'k'), kernel);
  await writeFile(join(dir, 'i'), 'an initrd');
  await writeFile(join(dir, 'secret'), 'outside the tree');
  table = await BootTable.open(join(dir, 'images'), temporarySigner());
  await table.add({
    name: 'a',
    arch: 'amd64',
    kernel: join(dir, 'k'),
    initrd: join(dir, 'i'),
    args: 'quiet',
  });
  tree = new BootTree(table, { 'ipxe/x.kpxe': join(dir, 'i'), 'ipxe/gone': join(dir, 'gone') });
});
afterAll(() => rm(dir, { recursive: true }));

async function load(path: string): Promise<Buffer | undefined> {
  const file = await tree.open(path, client);
  if (file === undefined) return undefined;
  const all = Buffer.alloc(file.size + 1);
  let at = 0;
  // An odd piece length: ends fall inside pieces.
  for (;;) {
    const count = await file.read(all.subarray(at, at + 1468), at);
    if (count === 0) break;
    at += count;
  }
  await file.close();
  expect(at).toBe(file.size);
  return all.subarray(0, at);
}

test('files of the table are served as they are, at any offset', async () => {
  expect(await load('images/a/kernel')).toEqual(kernel);
  expect(String(await load('images/a/initrd'))).toBe('an initrd');
  const file = (await tree.open('images/a/kernel', client))!;
  const part = new Uint8Array(10);
  expect(await file.read(part, 4995)).toBe(5);
  expect([...part.subarray(0, 5)]).toEqual([...kernel.subarray(4995)]);
  expect(await file.read(part, 5000)).toBe(0);
  expect(await file.read(part, 9000)).toBe(0);
  await file.close();
});

test('manifest and script are generated', async () => {
  expect(String(await load('images/a/manifest.env'))).toBe(
    'bw_kernel=kernel\nbw_initrd=initrd\nbw_args=quiet\n',
  );
  expect(String(await load('images/a/boot.ipxe'))).toMatch(/^#!ipxe\n/);
});

test('what is made for a client is a text, a file of this machine or one of an image', async () => {
  const asked: string[] = [];
  const menus = {
    find: (path: string, { address }: { address: string }): Served | undefined => {
      asked.push(`${address} ${path}`);
      if (path === 'text') return { bytes: Buffer.from('made') };
      if (path === 'file') return { path: join(dir, 'i') };
      if (path === 'gone') return { path: join(dir, 'gone') };
      if (path === 'folder') return { path: dir };
      if (path === 'fifo') return { path: join(dir, 'fifo') };
      if (path === 'kernel') return { image: 'a', file: 'kernel' };
      if (path === 'no') throw new NotServed('for nobody');
      return undefined;
    },
  };
  const made = new BootTree(table, { 'ipxe/x.kpxe': join(dir, 'k') }, menus);
  const size = async (path: string) => {
    const file = await made.open(path, client);
    await file?.close();
    return file?.size;
  };
  expect(await size('/text')).toBe(4);
  expect(await size('file')).toBe('an initrd'.length);
  expect(await size('gone')).toBeUndefined();
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  for (const path of ['folder', 'fifo']) expect(await size(path)).toBeUndefined();
  expect(await size('kernel')).toBe(kernel.length);
  expect(await size('boot/ipxe/x.kpxe')).toBe(kernel.length);
  await expect(size('no')).rejects.toThrow('for nobody');
  expect(asked[0]).toBe('10.77.0.11 text');
  expect(await size('images/a/text')).toBeUndefined();
  expect(asked).not.toContain('10.77.0.11 images/a/text');
});

test('fixed files are served under their paths, and are absent where their file is', async () => {
  expect(String(await load('ipxe/x.kpxe'))).toBe('an initrd');
  expect(await load('ipxe/gone')).toBeUndefined();
});

test.each([
  '/images/a/initrd',
  '//images//a///initrd',
  '\\images\\a\\initrd',
  './images/./a/initrd',
  '../../images/a/initrd',
  'images/b/../a/initrd',
  'tftpboot/images/a/initrd',
  'ipxe//images/a/initrd',
])('%j is folded to the file', async (path) => {
  expect(String(await load(path))).toBe('an initrd');
});

test.each([
  '',
  '/',
  '..',
  'images',
  'images/a',
  'images/a/',
  'images/a/dtb',
  'images/a/image.json',
  'images/b/kernel',
  'images/a/kernel/x',
  'images/../secret',
  'images/a/../../../secret',
  'images/a/..\\..\\..\\secret',
  'images/./../secret/kernel',
  'images/a/kernel\0',
  'images/a/toString',
  'constructor',
  `images/a/${'/'.repeat(600)}kernel`,
])('%j is no file', async (path) => {
  expect(await load(path)).toBeUndefined();
});

test('a normalised path has no empty, dot or parent part, and is its own normal form', () => {
  const part = fc.oneof(fc.constantFrom('..', '.', '', 'images', 'a'), fc.string({ maxLength: 5 }));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.constantFrom('/', '\\'), (parts, separator) => {
      const path = normalisePath(parts.join(separator));
      if (path === undefined) return;
      for (const piece of path.split('/')) expect(['', '.', '..']).not.toContain(piece);
      expect(path).not.toContain('\\');
      expect(normalisePath(path)).toBe(path);
    }),
  );
});

test('an image removed while a client reads it is read to its end', async () => {
  await table.add({ name: 'brief', arch: 'amd64', kernel: join(dir, 'k'), initrd: join(dir, 'i'), args: '' });
  const file = (await tree.open('images/brief/kernel', client))!;
  await rm(join(dir, 'images', 'brief'), { recursive: true });
  const all = Buffer.alloc(5000);
  expect(await file.read(all, 0)).toBe(5000);
  expect(all).toEqual(kernel);
  await file.close();
  expect(await load('images/brief/kernel')).toBeUndefined();
});

test('a file of which the system tells nothing once it is open is closed again', async () => {
  const path = join(dir, 'i');
  const handle = await open(path);
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  const tell = prototype.stat;
  let told = 0;
  // The first time it is asked whether this is a plain file.
  const stat = vi.spyOn(prototype, 'stat').mockImplementation(function (this: typeof handle) {
    return told++ === 0 ? tell.call(this) : Promise.reject(new Error('ESTALE'));
  } as typeof tell);
  try {
    await expect(tree.open('ipxe/x.kpxe', client)).rejects.toThrow('ESTALE');
  } finally {
    stat.mockRestore();
  }
  expect(openDescriptors()).not.toContain(path);
});

/** The files this process has open. */
function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The one of the folder itself.
      return [];
    }
  });
}
