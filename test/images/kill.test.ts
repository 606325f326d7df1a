/** Additions that end anywhere: killed, without space, cut off by a crash of the machine. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addLinuxNbi } from '../../imager/images/nbi/add.ts';
import { BootTable } from '../../imager/images/table.ts';
import { openSigner, SIGNING_KEY } from '../../imager/signing/signer.ts';
import { bundle } from '../support/inside.ts';
import { asKernel } from '../support/kernels.ts';
import { SmallDisk } from '../support/small-disk.ts';

let program: string;
let dir: string;
beforeAll(async () => {
  program = await bundle('test/images/adder.ts');
  dir = mkdtempSync(join(tmpdir(), 'adder-'));
  writeFileSync(join(dir, 'kernel'), asKernel('amd64', Buffer.alloc(20_000)));
  writeFileSync(join(dir, 'initrd'), Buffer.alloc(200_000, 'an initrd'));
  openSigner(dir);
});
afterAll(() => rmSync(dir, { recursive: true }));

/** A folder of its own with kernel, initrd and the key that images are signed with. */
function folder(name: string): string {
  mkdirSync(join(dir, name));
  for (const file of ['kernel', 'initrd', SIGNING_KEY]) cpSync(join(dir, file), join(dir, name, file));
  return join(dir, name);
}

/** Runs the adder, and gives what it said before it ended. */
function add(argv: readonly string[], args: readonly string[]): Promise<string> {
  const [file = '', ...before] = [...argv, process.execPath, program, ...args];
  return new Promise((resolve) => {
    execFile(file, before, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

test('killed before any of its changes: an image is there whole or not at all, and nothing else is', async () => {
  const changes = Number(/^(\d+) changes$/m.exec(await add([], [folder('whole')]))?.[1]);
  expect(changes).toBeGreaterThan(20);
  const points = Array.from({ length: changes }, (_, index) => index + 1);
  const seen = new Set<string>();
  let leftovers = 0;
  const one = async (point: number): Promise<void> => {
    const own = folder(`kill-${point}`);
    const images = join(own, 'images');
    const said = await add([], [own, String(point)]);
    expect(said).not.toContain('changes');
    if (readdirSync(images).some((name) => name.startsWith('.'))) leftovers++;

    const table = await BootTable.open(images, openSigner(own));
    const names = table.list().map((image) => image.name);
    seen.add(names.join());
    expect(readdirSync(images).sort()).toEqual(names);
    expect(table.problems()).toEqual([]);
    for (const name of ['a', 'b']) if (said.includes(`added ${name}`)) expect(names).toContain(name);
    for (const name of names) expect(await table.verify(name)).toEqual([]);
    const files = { kernel: join(own, 'kernel'), initrd: join(own, 'initrd') };
    const a = await table.add({ name: 'a', arch: 'amd64', ...files });
    expect(await addLinuxNbi(table, a, { name: 'b' })).toMatchObject({ kind: 'nbi' });
  };
  const worker = async () => {
    for (let point = points.pop(); point !== undefined; point = points.pop()) await one(point);
  };
  await Promise.all([worker(), worker(), worker()]);
  expect([...seen].sort()).toEqual(['', 'a', 'a,b']);
  expect(leftovers).toBeGreaterThan(10);
}, 60_000);

/** What the calls in a log of strace did to the table's files, in order, without repetitions. */
function deeds(log: string): string[] {
  const found: string[] = [];
  for (const line of log.split('\n')) {
    const sync = /fsync\(\d+<([^>]*)>/.exec(line)?.[1];
    const written = /\bwrite\(\d+<([^>]*images[^>]*)>/.exec(line)?.[1];
    const renamed = /rename\w*\(.*images\/\.new-.*images\/(\w+)"/.exec(line)?.[1];
    const said = /\bwrite\(1<.*"added (\w)/.exec(line)?.[1];
    const name = (path: string) => basename(path).replace(/^\.new-.*/, 'folder');
    if (sync !== undefined) found.push(`sync ${name(sync)}`);
    else if (said !== undefined) found.push(`said ${said}`);
    else if (written !== undefined && found.at(-1) !== `write ${name(written)}`)
      found.push(`write ${name(written)}`);
    else if (renamed !== undefined) found.push(`rename ${renamed}`);
  }
  return found;
}

test('an image has its name once its files are on disk, and is told of once its name is', async () => {
  const own = folder('traced');
  const log = join(own, 'calls');
  const strace = ['strace', '-f', '-y', '-qq', '-e', 'trace=fsync,write,/^rename', '-o', log];
  const written = (files: string[]) => files.flatMap((file) => [`write ${file}`, `sync ${file}`]);
  const named = (name: string) => ['sync folder', `rename ${name}`, 'sync images', `said ${name}`];
  const added = [
    ...written(['kernel', 'initrd', 'image.json']),
    ...named('a'),
    ...written(['boot.nbi', 'image.json']),
    ...named('b'),
  ];
  await add(strace, [own]);
  expect(deeds(readFileSync(log, 'utf8')).slice(1)).toEqual(added);
  // Already there, by somebody who may have died before the name was durable.
  await add(strace, [own]);
  expect(deeds(readFileSync(log, 'utf8')).slice(1)).toEqual(added);
}, 60_000);

test('without space: told so, nothing stays, and what was there is as it was', async () => {
  const own = folder('small');
  const images = join(own, 'images');
  mkdirSync(images);
  // Room for the kernel and the initrd, and not for both again.
  const small = await SmallDisk.over(images, 400 * 1024);
  const said = await add(small.enter, [own]);
  const left = readdirSync(small.here);
  await small.close();
  expect(said).toBe(
    'added a\nError: image b cannot be added: no space is left on the file system (ENOSPC)\n',
  );
  expect(left).toEqual(['a']);
});
