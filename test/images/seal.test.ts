/** What of the boot table counts: entries that the cluster has signed, and files that are what these say. */
import { createHash } from 'node:crypto';
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type BootImage, ImageError } from '../../imager/images/image.ts';
import { sealed } from '../../imager/images/seal.ts';
import { BootTable } from '../../imager/images/table.ts';
import { BootTree } from '../../imager/images/tree.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { asKernel } from '../support/kernels.ts';
import { SmallDisk } from '../support/small-disk.ts';

const SIGNER = temporarySigner();
const KERNEL = asKernel('arm64', Buffer.alloc(80, 'a kernel '));

let dir: string;
let table: BootTable;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'seal-'));
  await writeFile(join(dir, 'vmlinuz'), KERNEL);
  await writeFile(join(dir, 'initrd.img'), 'an initrd');
  table = await BootTable.open(join(dir, 'images'), SIGNER);
});
afterEach(() => rm(dir, { recursive: true }));

const newImage = (name: string, args = 'panic=5') => ({
  ...{ name, args, arch: 'arm64' as const },
  ...{ kernel: join(dir, 'vmlinuz'), initrd: join(dir, 'initrd.img') },
});
const entryOf = (name: string) => join(dir, 'images', name, 'image.json');
const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');

describe('an entry that this cluster has not signed so', () => {
  const OTHER = temporarySigner();
  const lines = async () => String(await readFile(entryOf('a')));
  /** What somebody does to the folder of the image `a`, and what is said of it then. */
  const DEEDS: Record<string, [(added: BootImage) => Promise<string>, RegExp]> = {
    'other arguments': [
      async () => (await lines()).replace('panic=5', 'panic=5 init=/bin/sh'),
      /^image a is not what this cluster signed: image\.json was changed, or is another cluster's; look at it/,
    ],
    'another kernel, and its checksum': [
      async () => {
        const kernel = asKernel('arm64', Buffer.alloc(80, 'A kernel '));
        await writeFile(table.path('a', 'kernel'), kernel);
        return (await lines()).replace(sha256(KERNEL), sha256(kernel));
      },
      /is not what this cluster signed/,
    ],
    'the signature of another image': [
      async () => {
        const other = await table.add(newImage('b', 'quiet'));
        const { signature } = JSON.parse(sealed(other, SIGNER)) as { signature: string };
        return (await lines()).replace(/"signature": "[0-9a-f]+"/, `"signature": "${signature}"`);
      },
      /is not what this cluster signed/,
    ],
    'another date': [
      async (added) => (await lines()).replace(added.added, '2001-01-01T00:00:00.000Z'),
      /is not what this cluster signed/,
    ],
    "another cluster's signature": [async (added) => sealed(added, OTHER), /is not what this cluster signed/],
    'no signature': [
      async (added) => JSON.stringify(added),
      /^image a is not signed: an earlier version added it, or somebody else; look at it \(imager image inspect a, imager image verify a\) before "imager image sign a"$/,
    ],
    'half a signature': [
      async () => (await lines()).replace(/(?<="signature": "[0-9a-f]{64})[0-9a-f]+/, ''),
      /is not what this cluster signed/,
    ],
    'a signature that is no text': [
      async () => (await lines()).replace(/"signature": "[0-9a-f]+"/, '"signature": null'),
      /is not what this cluster signed/,
    ],
  };

  test.each(Object.entries(DEEDS))('%s: it is no image, until it is signed', async (_, [deed, why]) => {
    const added = await table.add(newImage('a'));
    // So that it was believed once.
    expect(table.get('a')).toEqual(added);
    const text = await deed(added);
    expect(text).not.toBe(await lines());
    await writeFile(entryOf('a'), text);
    expect(() => table.get('a')).toThrow(why);
    expect(table.list().filter(({ name }) => name === 'a')).toEqual([]);
    expect(table.problems()).toEqual([expect.stringMatching(why)]);
    await expect(table.add(newImage('a'))).rejects.toThrow(why);
    await expect(new BootTree(table).open('images/a/kernel', { address: '' })).rejects.toThrow(why);
    await expect(table.verify('a')).rejects.toThrow(/; its files are what its image\.json says$/);
    const signed = await table.sign('a');
    expect(table.get('a')).toEqual(signed);
    expect(table.problems()).toEqual([]);
    expect(await table.verify('a')).toEqual([]);
  });

  test('is not signed where its files are not what it says', async () => {
    const added = await table.add(newImage('a'));
    await writeFile(entryOf('a'), JSON.stringify(added));
    await writeFile(table.path('a', 'initrd'), 'AN initrd');
    await expect(table.sign('a')).rejects.toThrow(
      /^image a is damaged: initrd has sha256 .*; it is not signed: remove its folder \/.*\/images\/a and add it again$/,
    );
    await expect(table.verify('a')).rejects.toThrow(/^image a is not signed: .*; initrd has sha256 .*, not /);
    expect(() => table.get('a')).toThrow(/is not signed/);
    expect(await table.sign('absent')).toBeUndefined();
  });

  test('is not signed on a full disk, in words, and stays as it was', async () => {
    const added = await table.add(newImage('a'));
    const [folder, small] = [join(dir, 'images/a'), join(dir, 'small')];
    await mkdir(small);
    const disk = await SmallDisk.over(small, 64 * 1024);
    await cp(folder, disk.here, { recursive: true });
    await rm(folder, { recursive: true });
    await symlink(disk.here, folder);
    const text = JSON.stringify(added);
    await writeFile(entryOf('a'), text);
    await expect(writeFile(join(folder, 'others'), Buffer.alloc(64 * 1024))).rejects.toThrow('ENOSPC');
    const refused = table.sign('a');
    await expect(refused).rejects.toThrow(
      /^image a cannot be signed: no space is left on the file system \(ENOSPC\)$/,
    );
    await expect(refused).rejects.toThrow(ImageError);
    expect(String(await readFile(entryOf('a')))).toBe(text);
    expect(await readdir(folder)).toHaveLength(4);
    await disk.close();
  });

  test.each(['..', '.', 'a/', '../images'])('%s is no image that could be signed', async (name) => {
    await table.add(newImage('a'));
    expect(await table.sign(name)).toBeUndefined();
  });

  test('is as good as any for those who only look', async () => {
    const added = await table.add(newImage('a'));
    await writeFile(entryOf('a'), JSON.stringify(added));
    expect(BootTable.read(join(dir, 'images')).get('a')).toEqual(added);
  });
});

test('a file whose content was changed is not served, however often it was before, and is a problem; changed back it is', async () => {
  await table.add(newImage('a'));
  const tree = new BootTree(table);
  const served = async () => {
    const file = (await tree.open('images/a/initrd', { address: '' }))!;
    await file.close();
    return file.size;
  };
  expect([await served(), await served()]).toEqual([9, 9]);
  const { atime, mtime } = await stat(table.path('a', 'initrd'));
  await writeFile(table.path('a', 'initrd'), 'AN initrd');
  // As if nobody had been there.
  await utimes(table.path('a', 'initrd'), atime, mtime);
  const why =
    /^image a is not what was added: initrd has sha256 [0-9a-f]{64}, not [0-9a-f]{64}; remove its folder \/.*\/images\/a and add it again$/;
  await expect(served()).rejects.toThrow(why);
  await expect(served()).rejects.toThrow(why);
  expect(table.problems()).toEqual([expect.stringMatching(why)]);
  await writeFile(table.path('a', 'initrd'), 'an initrd');
  expect(table.problems()).toEqual([]);
  expect(await served()).toBe(9);
  expect(table.problems()).toEqual([]);
});
