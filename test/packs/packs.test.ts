/** From what nodes read to the packs they are given, over real disks. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Disks } from '../../imager/disks/catalog.ts';
import type { Disk } from '../../imager/disks/disk.ts';
import { grow } from '../../imager/disks/generations.ts';
import { memoryFile } from '../../imager/images/boot-files.ts';
import { contentOffset, decodeIndex, indexLength } from '../../imager/packs/pack.ts';
import { Packs } from '../../imager/packs/packs.ts';
import { attached } from '../disks/attached.ts';

const BLOCK = 4096;
const SIZE = 600 * BLOCK + 700;
const ADDRESS = '10.0.0.5';
const log = pino({ level: 'silent' });
const others = { open: async () => memoryFile(Buffer.from('another')) };

let dir: string;
let disks: Disks;
let packs: Packs;
let image: Buffer;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'packs-'));
  disks = await Disks.open({ dir, log });
  image = randomBytes(SIZE);
  image.fill(0, 40 * BLOCK, 60 * BLOCK);
  writeFileSync(join(dir, 'image'), image);
  await disks.addBase('web', join(dir, 'image'));
  await disks.create('n1', 'web');
  await disks.create('n2', 'web');
  packs = open();
});
afterEach(async () => {
  await packs.close();
  await disks.close();
  rmSync(dir, { recursive: true });
});

function open(traceMs?: number): Packs {
  return new Packs({
    disks,
    dir: join(dir, 'bases'),
    log,
    ...(traceMs === undefined ? {} : { traceMs }),
  });
}

const attach = (name: string, address = ADDRESS) => attached(packs, name, { address });

async function read(disk: Disk, ...blocks: number[]): Promise<void> {
  for (const block of blocks) {
    const at = block * BLOCK;
    await disk.read(Buffer.alloc(Math.min(BLOCK, SIZE - at)), at);
  }
}

const say = (step: string, address = ADDRESS) => packs.take({ component: 'agent', step, address });

/** A boot that reads these blocks until it is ready. */
async function boot(name: string, ...blocks: number[]): Promise<void> {
  const disk = await attach(name);
  await read(disk, ...blocks);
  say('mounted');
  say('ready');
  await packs.idle();
  await disk.close();
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** What a node is served, block by block, its checksums looked at. */
async function served(name: string, address = ADDRESS): Promise<Map<number, Buffer>> {
  const file = (await packs.files(others).open(`/packs/${name}`, { address }))!;
  const bytes = Buffer.alloc(file.size);
  // In odd pieces, as a client may ask for them.
  for (let at = 0; at < bytes.length; )
    at += await file.read(bytes.subarray(at, Math.min(bytes.length, at + 10_007)), at);
  expect(await file.read(Buffer.alloc(1), bytes.length)).toBe(0);
  await file.close();
  const index = decodeIndex(bytes.subarray(0, indexLength(bytes)));
  expect(file.version).toMatch(new RegExp(`^${index.digest}-`));
  let at = contentOffset(index.runs.length, index.checksums.length);
  let stored = 0;
  const blocks = new Map<number, Buffer>();
  for (const { block, count, zero } of index.runs)
    for (let i = block; i < block + count; i++) {
      if (zero) blocks.set(i, Buffer.alloc(BLOCK));
      else {
        const content = bytes.subarray(at, at + BLOCK);
        expect(crc32(content)).toBe(index.checksums[stored++]);
        blocks.set(i, content);
        at += BLOCK;
      }
    }
  expect(at).toBe(bytes.length);
  return blocks;
}

async function expectContent(disk: Disk, blocks: Map<number, Buffer>): Promise<void> {
  for (const [block, content] of blocks) {
    const now = Buffer.alloc(BLOCK);
    const at = block * BLOCK;
    await disk.read(now.subarray(0, Math.min(BLOCK, SIZE - at)), at);
    expect(content.equals(now), `block ${block}`).toBe(true);
  }
}

describe('traces', () => {
  it('and packs that cannot be read keep nobody from a disk, nor the imager from its start', async () => {
    await boot('n1', ...range(0, 20));
    rmSync(join(dir, 'bases', 'web.pack'));
    mkdirSync(join(dir, 'bases', 'web.pack'));
    packs = open();
    await packs.makeMissing();
    await packs.idle();
    const disk = await attach('n1');
    expect((await served('n1')).size).toBe(0);
    await disk.close();
    rmSync(join(dir, 'bases', 'web.trace'));
    mkdirSync(join(dir, 'bases', 'web.trace'));
    packs = open();
    await (await attach('n1')).close();
    await (await attach('n1')).close();
  });

  it('are of what an agent boots, from its attach until it is ready', async () => {
    const disk = await attach('n1');
    await disk.read(Buffer.alloc(600), 5 * BLOCK + 4000);
    await read(disk, 9, 3);
    say('mounted');
    await read(disk, 3, 600);
    say('ready', '10.0.0.6');
    await read(disk, 20);
    say('ready');
    await read(disk, 21);
    await packs.idle();
    expect(await packs.show('web')).toMatchObject({ bytes: 6 * BLOCK, boots: 1, current: true });
    expect([...(await served('n1')).keys()]).toEqual([5, 6, 9, 3, 600, 20]);
    await disk.close();
  });

  it('leave out what the node wrote itself, and copies that no agent boots from', async () => {
    const copy = await attach('n1');
    await read(copy, ...range(0, 500));
    await copy.close();
    expect(await packs.show('web')).toBeUndefined();
    const disk = await attach('n1');
    await disk.write(Buffer.alloc(BLOCK, 1), 7 * BLOCK);
    await disk.trim(8 * BLOCK, BLOCK);
    await read(disk, 6, 7, 8, 9);
    say('mounted');
    await disk.close();
    expect(await packs.show('web')).toMatchObject({ bytes: 2 * BLOCK });
  });

  it('end after their time', async () => {
    await packs.close();
    packs = open(0);
    const disk = await attach('n1');
    await read(disk, 1);
    say('mounted');
    while ((await packs.show('web')) === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    await read(disk, 2);
    say('ready');
    expect(await packs.show('web')).toMatchObject({ bytes: BLOCK });
    await disk.close();
  });

  it('that are damaged count as none', async () => {
    await boot('n1', 1, 2, 3);
    writeFileSync(join(dir, 'bases/web.trace'), 'nonsense');
    expect(await packs.show('web')).toBeUndefined();
    await boot('n1', 4);
    expect(await packs.show('web')).toMatchObject({ bytes: BLOCK });
  });
});

describe('packs', () => {
  it('have the blocks as they are on the disk of the node that asks', async () => {
    await boot('n1', ...range(30, 70), 5, 600);
    const before = await attach('n2');
    await before.write(Buffer.alloc(100, 7), 33 * BLOCK + 10);
    await before.write(Buffer.alloc(BLOCK, 0), 5 * BLOCK);
    await before.write(Buffer.alloc(3 * BLOCK, 9), 45 * BLOCK);
    await before.close();
    const disk = await attach('n2');
    const blocks = await served('n2');
    expect([...blocks.keys()]).toEqual([...range(30, 70), 5, 600]);
    await expectContent(disk, blocks);
    await disk.close();
  });

  it('of a disk that has grown are of its size, and of its base no more than there is', async () => {
    await disks.withOverlay('n2', ({ store }) => grow(store, 700 * BLOCK));
    const disk = await attach('n2');
    await disk.read(Buffer.alloc(3 * BLOCK), 599 * BLOCK);
    await disk.read(Buffer.alloc(BLOCK), 650 * BLOCK);
    say('mounted');
    await disk.close();
    await packs.idle();
    const again = await attach('n2');
    const blocks = await served('n2');
    expect([...blocks.keys()]).toEqual([599, 600]);
    const whole = Buffer.alloc(BLOCK);
    await again.read(whole, 600 * BLOCK);
    expect(blocks.get(600)!.equals(whole)).toBe(true);
    await again.close();
  });

  it('are served to who has the disk attached, until it writes', async () => {
    await boot('n1', 1, 2);
    await expect(served('n2')).rejects.toThrow('no disk of that name attached');
    const disk = await attach('n2');
    await expect(served('n2', '10.0.0.6')).rejects.toThrow('no disk of that name attached');
    const file = (await packs.files(others).open('packs/n2', { address: ADDRESS }))!;
    await disk.writeZeroes(0, 512, true);
    await expect(file.read(Buffer.alloc(10), 0)).rejects.toThrow('written to while');
    await file.close();
    await expect(served('n2')).rejects.toThrow('written to since');
    await disk.close();
    expect((await packs.files(others).open('images/packs/n2', { address: ADDRESS }))!.size).toBe(7);
  });

  it('are not served for disks that are attached over TLS', async () => {
    await boot('n1', 1, 2);
    const disk = await attached(packs, 'n2', { address: ADDRESS, identity: 'n2' });
    await expect(served('n2')).rejects.toThrow('over TLS');
    await disk.close();
  });

  it('are empty where there is none, or one that does not fit', async () => {
    const disk = await attach('n2');
    expect((await served('n2')).size).toBe(0);
    await boot('n1', 1, 2);
    expect((await served('n2')).size).toBe(2);
    const path = join(dir, 'bases/web.pack');
    const pack = readFileSync(path);
    rmSync(path);
    pack[80]! ^= 1;
    writeFileSync(path, pack);
    expect((await served('n2')).size).toBe(0);
    expect(packs.stats()).toMatchObject({ 'packs.damaged': 1 });
    await disk.close();
    await packs.makeMissing();
    await packs.idle();
    expect(await packs.show('web')).toMatchObject({ current: true });
  });

  it('grow with what later boots read besides, and can be asked for', async () => {
    await boot('n1', ...range(0, 20));
    await boot('n2', ...range(10, 50));
    expect(await packs.show('web')).toMatchObject({ bytes: 50 * BLOCK, boots: 2, current: true });
    rmSync(join(dir, 'bases/web.pack'));
    expect(await packs.show('web')).toMatchObject({ pack: null, current: false });
    expect(await packs.make('web')).toMatchObject({ current: true });
    await expect(packs.make('nothing')).rejects.toThrow('nothing');
    await disks.addBase('unused', join(dir, 'image'));
    await expect(packs.make('unused')).rejects.toThrow('no node has booted over base image "unused" yet');
  });
});

it('a base that was booted before is read ahead, once for many nodes', async () => {
  await boot('n1', ...range(0, 100), 600);
  await packs.close();
  packs = open();
  const both = await Promise.all([attach('n1'), attach('n2', '10.0.0.6')]);
  await packs.idle();
  expect(packs.stats()).toMatchObject({ 'warm.started': 1, 'warm.done': 1, 'warm.bytes': 100 * BLOCK + 700 });
  await Promise.all(both.map((disk) => disk.close()));
});
