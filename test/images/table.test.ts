import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ipxeScript, manifest } from '../../imager/images/generated.ts';
import { checkArgs, ImageError, type LinuxImage } from '../../imager/images/image.ts';
import { sealed } from '../../imager/images/seal.ts';
import { BootTable } from '../../imager/images/table.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { asKernel } from '../support/kernels.ts';

const SIGNER = temporarySigner();
const KERNEL = asKernel('arm64', Buffer.alloc(80, 'a kernel '));

let dir: string;
let table: BootTable;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'images-'));
  await writeFile(join(dir, 'vmlinuz'), KERNEL);
  await writeFile(join(dir, 'initrd.img'), 'an initrd');
  await writeFile(join(dir, 'board.dtb'), 'a tree');
  table = await BootTable.open(join(dir, 'state', 'images'), SIGNER);
});
afterEach(() => rm(dir, { recursive: true }));

const newImage = (name: string, args = 'console=ttyAMA0 panic=5') => ({
  name,
  arch: 'arm64' as const,
  kernel: join(dir, 'vmlinuz'),
  initrd: join(dir, 'initrd.img'),
  args,
});
const entryOf = (name: string) => join(dir, 'state', 'images', name, 'image.json');
const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');

test('an added image is listed with sizes and checksums, by another reader too', async () => {
  const added = await table.add({ ...newImage('rescue-1'), dtb: join(dir, 'board.dtb') });
  expect(added).toEqual({
    name: 'rescue-1',
    kind: 'linux',
    arch: 'arm64',
    args: 'console=ttyAMA0 panic=5',
    files: {
      kernel: { bytes: 80, sha256: sha256(KERNEL) },
      initrd: { bytes: 9, sha256: sha256('an initrd') },
      dtb: { bytes: 6, sha256: sha256('a tree') },
    },
    added: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  });
  const other = await BootTable.open(join(dir, 'state', 'images'), SIGNER);
  await table.add(newImage('a-first'));
  expect(other.list().map((image) => image.name)).toEqual(['a-first', 'rescue-1']);
  expect(other.get('rescue-1')).toEqual(added);
  expect(other.get('absent')).toBeUndefined();
  expect(other.problems()).toEqual([]);
});

test('the same content under the same name is the same image; other content is refused', async () => {
  const first = await table.add(newImage('a'));
  expect(await table.add(newImage('a'))).toEqual(first);
  await expect(table.add(newImage('a', 'other'))).rejects.toThrow(
    /image a exists already, with other content .*: choose another name$/,
  );
  await writeFile(join(dir, 'vmlinuz'), asKernel('arm64', Buffer.alloc(80, 'A kernel ')));
  await expect(table.add(newImage('a'))).rejects.toThrow(/exists already/);
  expect(table.list()).toEqual([first]);
});

test('of many adding the same name at once one wins, and nothing half done stays', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, (_, n) => table.add(newImage('contested', `n=${n}`))),
  );
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  expect(await readdir(join(dir, 'state', 'images'))).toEqual(['contested']);
});

test('a close interrupts what is being added, waits for it, and nothing of it stays', async () => {
  await truncate(join(dir, 'vmlinuz'), 2 ** 33);
  let ended = false;
  const adding = table.add(newImage('huge')).finally(() => {
    ended = true;
  });
  const refused = expect(adding).rejects.toThrow('the imager is being stopped: nothing was added');
  await table.close();
  expect(ended).toBe(true);
  await refused;
  expect(await readdir(join(dir, 'state', 'images'))).toEqual([]);
  await expect(table.add(newImage('later'))).rejects.toThrow(ImageError);
});

test.each(['', '.', '..', '../x', 'a/b', 'A', '-a', 'a..b', 'x'.repeat(64), 'a\n', '.unfinished-x'])(
  'the name %j is refused and finds nothing',
  async (name) => {
    await expect(table.add(newImage(name))).rejects.toThrow(ImageError);
    expect(table.get(name)).toBeUndefined();
    expect(await readdir(join(dir, 'state', 'images'))).toEqual([]);
  },
);

test.each([
  ['a\nb', 'a newline (character 2)'],
  ['a\0', 'a NUL'],
  ['root=$x', '$ (character 6)'],
  ['a; reboot', ';'],
  ['a\\', '\\'],
  ['a="b c"', '"'],
  ['café', 'U+00e9'],
  ['a && b', 'the word &&'],
  ['#c', 'the word #c'],
  ['x'.repeat(1025), '1025 characters'],
])('the arguments %j are refused', async (args, message) => {
  await expect(table.add(newImage('a', args))).rejects.toThrow(message);
  expect(table.list()).toEqual([]);
});

test('files that are missing, empty or folders are refused by their role', async () => {
  const absent = { ...newImage('a'), initrd: join(dir, 'absent') };
  await expect(table.add(absent)).rejects.toThrow(
    /initrd of image a cannot be read: .*absent.*: there is no such file \(ENOENT\)/,
  );
  await writeFile(join(dir, 'empty'), '');
  await expect(table.add({ ...newImage('a'), kernel: join(dir, 'empty') })).rejects.toThrow(
    /kernel of image a is empty/,
  );
  await expect(table.add({ ...newImage('a'), dtb: dir })).rejects.toThrow(
    /dtb of image a cannot be read: .* is a folder, not a file/,
  );
  expect(await readdir(join(dir, 'state', 'images'))).toEqual([]);
});

test('what is no plain file is refused, and nobody waits for it; a link to a file is the file', async () => {
  const fifo = join(dir, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const server = createServer().listen(join(dir, 'socket'));
  await once(server, 'listening');
  const refused = (kernel: string) => expect(table.add({ ...newImage('a'), kernel })).rejects;
  await refused(fifo).toThrow(/kernel of image a cannot be read: .*fifo is a FIFO, not a file/);
  await refused('/dev/zero').toThrow('/dev/zero is a device, not a file');
  await refused(join(dir, 'socket')).toThrow('is a socket, not a file');
  server.close();
  await symlink(fifo, join(dir, 'to-fifo'));
  await refused(join(dir, 'to-fifo')).toThrow('is a FIFO, not a file');
  await symlink('vmlinuz', join(dir, 'to-kernel'));
  const added = await table.add({ ...newImage('a'), kernel: join(dir, 'to-kernel') });
  expect(added.files).toMatchObject({ kernel: { sha256: sha256(KERNEL) } });
  // What has become none since.
  await rm(table.path('a', 'initrd'));
  execFileSync('mkfifo', [table.path('a', 'initrd')]);
  expect(() => table.get('a')).toThrow(/initrd has no bytes, not 9/);
});

test('a file that is written to while it is copied is refused', async () => {
  await truncate(join(dir, 'initrd.img'), 2 ** 25);
  const adding = expect(table.add(newImage('a'))).rejects.toThrow(
    /initrd of image a was written to while it was copied/,
  );
  const images = join(dir, 'state', 'images');
  while ((await readdir(images, { recursive: true })).length < 3) await setImmediate();
  await appendFile(join(dir, 'initrd.img'), 'more');
  await adding;
  expect(await readdir(images)).toEqual([]);
});

test('a folder of the table may be a link; one to nowhere is no image', async () => {
  const images = join(dir, 'state', 'images');
  const added = await table.add(newImage('moved'));
  await rename(join(images, 'moved'), join(dir, 'elsewhere'));
  await symlink(join(dir, 'elsewhere'), join(images, 'moved'));
  await symlink(join(dir, 'nowhere'), join(images, 'gone'));
  expect(table.list()).toEqual([added]);
  expect(table.get('moved')).toEqual(added);
  expect(table.get('gone')).toBeUndefined();
  expect(table.problems()).toEqual([]);
  expect(await table.add(newImage('moved'))).toEqual(added);
});

test('a file in the place of an image, and one where the table itself should be', async () => {
  const images = join(dir, 'state', 'images');
  await writeFile(join(images, 'a'), '');
  await expect(table.add(newImage('a'))).rejects.toThrow(/image a is damaged: no image\.json/);
  expect(await readdir(images)).toEqual(['a']);
  await rm(images, { recursive: true });
  await writeFile(images, '');
  await expect(table.add(newImage('b'))).rejects.toThrow(
    /^image b cannot be added: .*: part of its path is no folder \(ENOTDIR\)/,
  );
});

test('a damaged image is reported, not hidden, and the others stay', async () => {
  await table.add(newImage('good'));
  await table.add(newImage('short'));
  await truncate(table.path('short', 'initrd'), 3);
  await table.add(newImage('garbled'));
  await writeFile(join(dir, 'state', 'images', 'garbled', 'image.json'), '{"name":');
  await table.add(newImage('renamed'));
  await writeFile(join(dir, 'state', 'images', 'renamed', 'image.json'), '{"name":"good"}');
  await mkdir(join(dir, 'state', 'images', 'bare'));
  await table.add(newImage('quoted'));
  const quoted = join(dir, 'state', 'images', 'quoted', 'image.json');
  await writeFile(quoted, String(await readFile(quoted)).replace('panic', '$panic'));
  expect(table.list().map((image) => image.name)).toEqual(['good']);
  expect(table.problems()).toEqual([
    expect.stringMatching(/image bare is damaged: no image\.json/),
    expect.stringMatching(/image garbled is damaged: image\.json is not JSON/),
    expect.stringMatching(/image quoted is damaged: image\.json has arguments that cannot be: .*\$/),
    expect.stringMatching(/image renamed is damaged: image\.json names another image/),
    expect.stringMatching(/image short is damaged: initrd has 3 bytes, not 9/),
  ]);
  expect(() => table.get('short')).toThrow(/damaged/);
});

test('what a crash left half done goes at the next start; what another is writing stays', async () => {
  const images = join(dir, 'state', 'images');
  const gone = String(execFileSync('sh', ['-c', 'echo $$'])).trim();
  for (const pid of [gone, process.ppid]) await mkdir(join(images, `.new-${pid}-0`));
  await writeFile(join(images, `.new-${gone}-0`, 'kernel'), 'half');
  BootTable.read(images);
  expect(await readdir(images)).toHaveLength(2);
  await BootTable.open(images, SIGNER);
  expect(await readdir(images)).toEqual([`.new-${process.ppid}-0`]);
  expect(table.list()).toEqual([]);
});

test('the manifest is what U-Boot imports, the script what iPXE runs', async () => {
  const plain = (await table.add(newImage('plain'))) as LinuxImage;
  expect(manifest(plain)).toBe('bw_kernel=kernel\nbw_initrd=initrd\nbw_args=console=ttyAMA0 panic=5\n');
  const board = (await table.add({ ...newImage('board', ''), dtb: join(dir, 'board.dtb') })) as LinuxImage;
  expect(manifest(board)).toBe('bw_kernel=kernel\nbw_initrd=initrd\nbw_dtb=dtb\nbw_args=\n');
  expect(ipxeScript(plain)).toBe(
    `#!ipxe\nkernel --timeout 3000 kernel initrd=initrd \${bw_cmdline} console=ttyAMA0 panic=5\ninitrd --timeout 3000 initrd\necho bootwright: firmware boot ${plain.name}\necho starting the kernel\nboot\n`,
  );
});

test('arguments that pass stay on one line of the manifest', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40, size: 'max' }), (args) => {
      try {
        checkArgs(args);
      } catch {
        return;
      }
      const files = { kernel: { bytes: 1, sha256: '' }, initrd: { bytes: 1, sha256: '' } };
      const text = manifest({ name: 'a', kind: 'linux', arch: 'amd64', args, files, added: '' });
      expect(text.split('\n')).toEqual(['bw_kernel=kernel', 'bw_initrd=initrd', `bw_args=${args}`, '']);
    }),
  );
});

test('a table from before there were kinds is read; a kind that is not known is damage', async () => {
  const added = await table.add(newImage('old'));
  const file = join(dir, 'state', 'images', 'old', 'image.json');
  const { kind: _, ...old } = added;
  await writeFile(file, JSON.stringify(old));
  expect(await table.sign('old')).toEqual(added);
  await writeFile(file, sealed(added, SIGNER).replace('"kind": "linux",', ''));
  expect(table.get('old')).toEqual(added);
  await writeFile(file, JSON.stringify({ ...added, kind: 'cobol' }));
  expect(() => table.get('old')).toThrow(/kind that is not known \("cobol"\)/);
  await writeFile(file, JSON.stringify({ ...added, kind: 'efi' }));
  expect(() => table.get('old')).toThrow(/has no boot\.efi/);
});

test('files are read again and compared with their checksums', async () => {
  const added = (await table.add(newImage('a'))) as LinuxImage;
  expect(await table.verify('a')).toEqual([]);
  expect(table.problems()).toEqual([]);
  await writeFile(table.path('a', 'initrd'), 'AN initrd');
  const fault = `initrd has sha256 ${sha256('AN initrd')}, not ${sha256('an initrd')}`;
  expect(await table.verify('a')).toEqual([fault]);
  expect(table.problems()).toEqual([
    expect.stringMatching(`^image a is not what was added: ${fault}; remove its folder`),
  ]);
  expect(await table.verify('absent')).toBeUndefined();
  // A plain file whose disk cannot read it: this one of the kernel's has 4096 bytes, and no speed to tell.
  await rm(table.path('a', 'initrd'));
  await symlink('/sys/class/net/lo/speed', table.path('a', 'initrd'));
  added.files.initrd.bytes = 4096;
  await writeFile(entryOf('a'), sealed(added, SIGNER));
  expect(await table.verify('a')).toEqual([expect.stringMatching(/^initrd cannot be read: EINVAL/)]);
});

test('an image.json that is no plain file, or long, is damage of that image, and nothing that is waited for', async () => {
  for (const name of ['fifo', 'long']) await table.add(newImage(name));
  await rm(entryOf('fifo'));
  execFileSync('mkfifo', [entryOf('fifo')]);
  expect(() => table.get('fifo')).toThrow(
    /^image fifo is damaged: image\.json cannot be read: .* is a FIFO, not a file$/,
  );
  await truncate(entryOf('long'), 2 ** 30);
  expect(() => table.get('long')).toThrow(
    /image\.json cannot be read: .* has 1073741824 bytes, more than 65536$/,
  );
});

test('an image.json that cannot be read is damage of that image, not of the table', async () => {
  const good = await table.add(newImage('good'));
  await mkdir(join(dir, 'state', 'images', 'bad', 'image.json'), { recursive: true });
  expect(table.list()).toEqual([good]);
  expect(table.problems()).toEqual([
    expect.stringMatching(/^image bad is damaged: image\.json cannot be read: .* is a folder, not a file$/),
  ]);
});
