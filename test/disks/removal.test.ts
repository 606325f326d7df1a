/** Disks and base images that are removed: what keeps them, what is left, and kills in the midst of it. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import { DiskWork } from '../../imager/disks/disk-work.ts';
import { Removals } from '../../imager/disks/removals.ts';
import { makePack } from '../../imager/packs/pack-file.ts';
import { filesIn } from '../support/folders.ts';
import { bundle } from '../support/inside.ts';
import { synced } from '../support/noted-syncs.ts';
import { attached, contentOf } from './attached.ts';

vi.mock('node:fs', async () => (await import('../support/noted-syncs.ts')).notingSyncs());

const IMAGE = randomBytes(3 * 2 ** 20);
const OTHER = randomBytes(2 ** 20);
const log = pino({ level: 'silent' });

let dir: string;
let disks: Disks;
let removals: Removals;

async function open(lingerMs = 0): Promise<void> {
  disks = await Disks.open({ dir, log, lingerMs });
  removals = new Removals(disks);
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'removal-'));
  writeFileSync(join(dir, 'image'), IMAGE);
  writeFileSync(join(dir, 'other'), OTHER);
  await open();
  await disks.addBase('b', join(dir, 'image'));
});

afterEach(async () => {
  await disks.close();
  rmSync(dir, { recursive: true });
});

const folder = (name: string): string[] => readdirSync(join(dir, name)).sort();
const exportsOf = (): string[] => disks.list({ address: '10.0.0.1' });

test('a disk goes with all that was written to it, and another of its name has nothing of it', async () => {
  await disks.create('n1', 'b');
  const disk = await attached(disks, 'n1');
  await disk.write(Buffer.alloc(8192, 7), 0);
  await disk.close();
  await new DiskWork(disks, Date.now).snapshot('n1', 'kept');
  const loss = { name: 'n1', base: 'b', blocksWritten: 2, generations: 1 };
  expect(await removals.diskLoss('n1')).toMatchObject(loss);
  expect(disks.names()).toEqual(['n1']);
  expect(await removals.removeDisk('n1')).toMatchObject(loss);
  expect([disks.names(), exportsOf(), folder('disks')]).toEqual([[], ['base:b'], []]);
  await disks.create('n1', 'b');
  expect((await contentOf(await attached(disks, 'n1'))).equals(IMAGE)).toBe(true);
});

test('a disk is kept while a client, a verb or another process has it', async () => {
  await disks.create('n1', 'b');
  const disk = await attached(disks, 'n1');
  const inUse = 'disk "n1" is in use by 10.0.0.1: stop that first';
  await expect(removals.diskLoss('n1')).rejects.toThrow(inUse);
  await expect(removals.removeDisk('n1')).rejects.toThrow(inUse);
  await expect(disks.remove('n1')).rejects.toThrow(inUse);
  await disk.close();
  await disks.exclusively('n1', 'being rolled back', async () => {
    await expect(removals.removeDisk('n1')).rejects.toThrow('disk "n1" is being rolled back: try again');
  });
  await disks.withOverlay('n1', async () => {
    await expect(removals.removeDisk('n1')).rejects.toThrow('disk "n1" is being flushed or worked on');
  });
  const another = await Disks.open({ dir, log });
  await attached(another, 'n1');
  await expect(removals.removeDisk('n1')).rejects.toThrow('is in use by another process of this machine');
  await another.close();
  await removals.removeDisk('n1');
  expect(disks.names()).toEqual([]);
});

test('a disk that its client left a moment ago is closed, and not opened by who comes meanwhile', async () => {
  await disks.close();
  await open(60_000);
  await disks.create('n1', 'b');
  const disk = await attached(disks, 'n1');
  await disk.write(Buffer.alloc(4096, 7), 0);
  await disk.close();
  const removed = removals.removeDisk('n1');
  const late = disks.open('n1', { address: '10.0.0.2' }).then(
    (it) => ('refused' in it ? 'refused' : 'opened'),
    () => 'failed',
  );
  // One of the two is first; it never is both.
  const gone = await removed.then(
    () => true,
    () => false,
  );
  expect(['refused', 'failed']).toContain(gone ? await late : 'refused');
  expect(disks.names()).toEqual(gone ? [] : ['n1']);
});

test('a removal is durable', async () => {
  await disks.create('n1', 'b');
  for (const [remove, where] of [
    [() => removals.removeDisk('n1'), 'disks'],
    [() => removals.removeBase('b'), 'bases'],
  ] as const) {
    synced.length = 0;
    await remove();
    expect(synced).toContain(join(dir, where));
  }
});

test('what is not there is told with what is', async () => {
  await disks.create('n1', 'b');
  for (const name of ['n2', '', '..', '../disks/n1', 'base:b', 'n1\0', '.new-1-a', 'n1/overlay'])
    for (const work of [removals.diskLoss(name), removals.removeDisk(name), disks.remove(name)])
      await expect(work).rejects.toThrow('; there is: n1');
  for (const name of ['c', '', '../bases/b', '.gone-b', 'b.img', 'b\0'])
    for (const work of [removals.baseLoss(name), removals.removeBase(name), disks.removeBase(name)])
      await expect(work).rejects.toThrow('; there is: b');
  expect([folder('disks'), folder('bases')]).toEqual([['n1'], ['b.img', 'b.json', 'b.zeros']]);
});

test('damaged disks and base images can be removed', async () => {
  const spoil: Record<string, (path: string) => void> = {
    torn: (path) => writeFileSync(path, 'torn'),
    empty: (path) => rmSync(path),
    earlier: (path) => {
      rmSync(path, { recursive: true });
      writeFileSync(join(path, '..', 'disk.json'), '{}');
    },
  };
  for (const [name, damage] of Object.entries(spoil)) {
    await disks.create(name, 'b');
    damage(join(dir, 'disks', name, 'overlay'));
    expect(await removals.diskLoss(name)).toEqual({
      name,
      damage: expect.stringContaining(`disk "${name}"`),
    });
    await removals.removeDisk(name);
  }
  writeFileSync(join(dir, 'disks/plain'), 'no folder');
  await removals.removeDisk('plain');
  expect(folder('disks')).toEqual([]);
  writeFileSync(join(dir, 'bases/b.json'), '{}');
  expect(await removals.removeBase('b')).toEqual({
    name: 'b',
    damage: expect.stringContaining('base image "b" is damaged'),
  });
  writeFileSync(join(dir, 'bases/lone.json'), '{}');
  await removals.removeBase('lone');
  expect(folder('bases')).toEqual([]);
});

test('a base image is kept while disks are over it, may be, or somebody reads it', async () => {
  for (const name of ['n1', 'n2']) await disks.create(name, 'b');
  const over = 'base image "b" is under disks n1, n2: remove first what is over it';
  await expect(removals.baseLoss('b')).rejects.toThrow(over);
  await expect(removals.removeBase('b')).rejects.toThrow(over);
  await removals.removeDisk('n1');
  writeFileSync(join(dir, 'disks/n2/overlay'), 'torn');
  await expect(removals.removeBase('b')).rejects.toThrow('base image "b" may be under disk n2, so damaged');
  await removals.removeDisk('n2');
  const one = await attached(disks, 'base:b', { address: '10.0.0.7' });
  const two = await attached(disks, 'base:b', { address: '10.0.0.8' });
  await expect(removals.removeBase('b')).rejects.toThrow(
    '"b" is read by 10.0.0.7, 10.0.0.8: stop that first',
  );
  await one.close();
  const opening = disks.open('base:b', { address: '10.0.0.9' });
  await two.close();
  await expect(removals.removeBase('b')).rejects.toThrow('is read by 10.0.0.9: stop that first');
  const three = await opening;
  if (!('refused' in three)) await three.close();
  expect(await removals.removeBase('b')).toMatchObject({ name: 'b', size: IMAGE.length });
});

test('a base image goes with its trace and pack, its space with it, and another of its name is another', async () => {
  await disks.create('n1', 'b');
  await (await attached(disks, 'n1')).close();
  await (await attached(disks, 'base:b')).close();
  await removals.removeDisk('n1');
  for (const end of ['trace', 'pack']) writeFileSync(join(dir, `bases/b.${end}`), 'x');
  await disks.addBase('b.img', join(dir, 'other'));
  await removals.removeBase('b');
  expect(folder('bases')).toEqual(['b.img.img', 'b.img.json', 'b.img.zeros']);
  const held = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return statSync(`/proc/self/fd/${fd}`).size;
    } catch {
      return 0;
    }
  });
  expect(held).not.toContain(IMAGE.length);
  await disks.addBase('b', join(dir, 'other'));
  expect((await contentOf(await attached(disks, 'base:b'))).equals(OTHER)).toBe(true);
});

test('a pack that is being made when its base image is removed is not put there', async () => {
  const { size, digest } = disks.base('b');
  const trace = { size, digest, boots: 1, runs: [{ block: 0, count: 512 }] };
  const making = makePack(join(dir, 'bases'), 'b', trace, new AbortController().signal);
  const failed = expect(making).rejects.toThrow('ENOENT');
  while (!folder('bases').some((name) => name.startsWith('.new-')))
    await new Promise((done) => setImmediate(done));
  await removals.removeBase('b');
  await failed;
  expect(folder('bases')).toEqual([]);
});

test.each(['disk', 'base'])(
  'killed at any call, a %s is there whole or not at all',
  async (what) => {
    const program = await bundle('test/disks/remover.ts');
    let whole = 0;
    let none = 0;
    for (let call = 0; ; call++) {
      rmSync(join(dir, 'disks'), { recursive: true });
      rmSync(join(dir, 'bases'), { recursive: true });
      await disks.close();
      await open();
      await disks.addBase('b', join(dir, 'image'));
      for (const end of ['trace', 'pack']) writeFileSync(join(dir, `bases/b.${end}`), 'x');
      if (what === 'disk') {
        await disks.create('n1', 'b');
        await (await attached(disks, 'n1')).write(Buffer.alloc(4096, 7), 0);
      }
      await disks.close();
      const { signal, status, stderr } = spawnSync(process.execPath, [program, dir, what, String(call)]);
      if (signal === null) expect([status, String(stderr)]).toEqual([0, '']);
      // The call after the rename is the sync: nothing is deleted before it.
      if (call === 1) expect(filesIn(join(dir, `${what}s`))).toHaveLength(what === 'disk' ? 1 : 5);
      await open();
      const there = what === 'disk' ? disks.names().includes('n1') : existsSync(join(dir, 'bases/b.json'));
      expect(exportsOf()).toEqual([
        ...(there && what === 'disk' ? ['n1'] : []),
        ...(what === 'disk' || there ? ['base:b'] : []),
      ]);
      if (there) {
        whole++;
        const content = await contentOf(await attached(disks, what === 'disk' ? 'n1' : 'base:b'));
        expect(content.subarray(4096).equals(IMAGE.subarray(4096))).toBe(true);
      } else {
        none++;
        // What was left over was tidied up at the start.
        expect(folder(what === 'disk' ? 'disks' : 'bases')).toEqual([]);
        if (what === 'disk') await disks.create('n1', 'b');
        else await disks.addBase('b', join(dir, 'other'));
        const content = await contentOf(await attached(disks, what === 'disk' ? 'n1' : 'base:b'));
        expect(content.equals(what === 'disk' ? IMAGE : OTHER)).toBe(true);
      }
      if (signal === null) break;
    }
    expect(whole).toBe(1);
    expect(none).toBeGreaterThan(2);
  },
  120_000,
);

test('who adds a base image of a name whose removal was killed goes on with that first', async () => {
  const program = await bundle('test/disks/remover.ts');
  // An imager that runs on does not start again.
  await disks.close();
  await open();
  for (const end of ['trace', 'pack']) writeFileSync(join(dir, `bases/b.${end}`), 'x');
  expect(spawnSync(process.execPath, [program, dir, 'base', '2']).signal).toBe('SIGKILL');
  expect(folder('bases')).toContain('.gone-b');
  expect(disks.bases()).toEqual([]);
  await disks.addBase('b', join(dir, 'other'));
  expect(folder('bases').filter((name) => !name.startsWith('.new-'))).toEqual(['b.img', 'b.json', 'b.zeros']);
  expect(readFileSync(join(dir, 'bases/b.img')).equals(OTHER)).toBe(true);
});
