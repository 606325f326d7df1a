import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SystemFile } from '../../imager/disks/block-file.ts';
import { Disks, type MayOpen } from '../../imager/disks/catalog.ts';
import { DiskError } from '../../imager/disks/disk.ts';
import { lockFile } from '../../imager/disks/host.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { eventually } from '../support/eventually.ts';
import { attached, contentOf } from './attached.ts';

const SIZE = 3 * 2 ** 20 + 512;
const image = Buffer.alloc(SIZE);
image.set(randomBytes(200_000), 1_000_000);

const client = { address: '10.0.0.1' };
const other = { address: '10.0.0.2' };
let dir: string;
let file: string;
let disks: Disks;
let warnings: string[];

async function openStore(mayOpen?: MayOpen): Promise<Disks> {
  const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(line) });
  return Disks.open({ dir: join(dir, 'state'), log, ...(mayOpen === undefined ? {} : { mayOpen }) });
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'disks-'));
  file = join(dir, 'image.raw');
  writeFileSync(file, image);
  warnings = [];
  disks = await openStore();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await disks.close();
  rmSync(dir, { recursive: true });
});

const attach = (name: string, who = client) => attached(disks, name, who);

test('a base is taken in once, sparse and read-only, under its digest', async () => {
  const base = await disks.addBase('debian', file);
  const digest = createHash('sha256').update(image).digest('hex');
  expect(base).toMatchObject({ name: 'debian', size: SIZE, digest });
  expect(base.allocatedBytes).toBeLessThan(600_000);
  const stored = join(dir, 'state/bases/debian.img');
  expect(statSync(stored).mode & 0o777).toBe(0o444);
  expect(readFileSync(stored).equals(image)).toBe(true);
  expect(await disks.addBase('debian', file)).toEqual(base);
  writeFileSync(file, randomBytes(5000));
  await expect(disks.addBase('debian', file)).rejects.toThrow(/exists with other content/);
  expect(disks.bases()).toEqual([base]);
  expect(readdirSync(join(dir, 'state/bases')).sort()).toEqual(['debian.img', 'debian.json', 'debian.zeros']);
});

test('an empty image or a bad one changes nothing', async () => {
  await disks.addBase('debian', file);
  writeFileSync(file, '');
  await expect(disks.addBase('empty', file)).rejects.toThrow(/0 bytes/);
  await expect(disks.addBase('../x', file)).rejects.toThrow(/cannot be a base image's name/);
  await expect(disks.addBase('gone', join(dir, 'nowhere'))).rejects.toThrow(/ENOENT/);
  expect(disks.bases().map(({ name }) => name)).toEqual(['debian']);
});

test('wrong names are refused with what there is', async () => {
  await expect(disks.create('n1', 'debian')).rejects.toThrow(
    'no base image "debian"; there is no base image yet',
  );
  await disks.addBase('debian', file);
  await expect(disks.create('n1', 'debain')).rejects.toThrow('no base image "debain"; there is: debian');
  await expect(disks.create('../n1', 'debian')).rejects.toThrow(/cannot be a disk's name/);
  await disks.create('n1', 'debian');
  await expect(disks.create('n1', 'debian')).rejects.toThrow('disk "n1" exists already');
  expect(disks.all().map(({ name }) => name)).toEqual(['n1']);
  expect(readdirSync(join(dir, 'state/disks'))).toEqual(['n1']);
  expect(await disks.open('n2', client)).toEqual({
    refused: 'unknown',
    why: 'no disk "n2"; there is: n1, base:debian',
  });
  for (const name of ['', '../n1', 'n1/../n1', 'base:../debian', 'base:', 'n1\0', 'disk.json'])
    expect(await disks.open(name, client)).toMatchObject({ refused: 'unknown' });
  expect(disks.show('n2')).toBeUndefined();
});

test('a close interrupts what is being added, waits for it, and nothing of it stays', async () => {
  await disks.addBase('debian', file);
  truncateSync(file, 2 ** 32);
  let ended = false;
  const refused = expect(
    disks.addBase('huge', file).finally(() => {
      ended = true;
    }),
  ).rejects.toThrow('the imager is being stopped: nothing was added');
  // Its first step is to open the file.
  await eventually(() => expect(readdirSync(join(dir, 'state/bases'))).toHaveLength(4));
  await disks.close();
  expect(ended).toBe(true);
  await refused;
  expect(readdirSync(join(dir, 'state/bases')).sort()).toEqual(['debian.img', 'debian.json', 'debian.zeros']);
});

test('damaged disks and bases are told, and hide no others', async () => {
  await disks.addBase('debian', file);
  for (const name of ['n1', 'n2', 'n3', 'n4', 'n5']) await disks.create(name, 'debian');
  const path = (name: string): string => join(dir, 'state/disks', name, 'overlay');
  const whole = readFileSync(path('n1'));
  writeFileSync(
    path('n1'),
    whole.map((byte, i) => (i % 4096 === 100 ? byte ^ 1 : byte)),
  );
  writeFileSync(path('n2'), '');
  writeFileSync(path('n3'), whole.subarray(4096));
  rmSync(path('n4'));
  writeFileSync(join(dir, 'state/disks/n4/disk.json'), '{}');
  const record = readFileSync(join(dir, 'state/bases/debian.json'), 'utf8');
  for (const [name, text] of [
    ['empty', ''],
    ['null', 'null'],
    ['bare', '{"size":1}'],
    ['gone', record],
  ] as const)
    writeFileSync(join(dir, 'state/bases', `${name}.json`), text);
  expect(disks.all().map(({ name }) => name)).toEqual(['n3', 'n5']);
  expect(disks.views()).toEqual([
    { name: 'n1', damage: expect.stringContaining('disk "n1" is damaged: no valid superblock') },
    { name: 'n2', damage: expect.stringContaining('disk "n2" is damaged: its file has 0 bytes') },
    expect.objectContaining({ name: 'n3', size: SIZE }),
    { name: 'n4', damage: 'disk "n4" has the format of an earlier version: make it anew' },
    expect.objectContaining({ name: 'n5', size: SIZE }),
  ]);
  expect(disks.bases().map(({ name }) => name)).toEqual(['debian']);
  expect(disks.baseViews().map(({ name, damage }) => [name, damage !== undefined])).toEqual([
    ...[['bare', true] as const, ['debian', false] as const],
    ...['empty', 'gone', 'null'].map((name) => [name, true] as const),
  ]);
  expect(disks.problems()).toEqual([
    expect.stringContaining(
      'disk "n1" is damaged: no valid superblock: copy 0: superblock has a wrong checksum',
    ),
    expect.stringContaining('disk "n2" is damaged: its file has 0 bytes'),
    'disk "n4" has the format of an earlier version: make it anew',
    expect.stringContaining('base image "bare" is damaged: its description has no size or no digest'),
    expect.stringContaining('base image "empty" is damaged: Unexpected end of JSON'),
    `base image "gone" is damaged: ${join(dir, 'state/bases/gone.img')} is missing; adding the same image again puts it back`,
    expect.stringContaining('base image "null" is damaged'),
  ]);
  expect(() => disks.show('n2')).toThrow('disk "n2" is damaged');
  expect(disks.names()).toEqual(['n1', 'n2', 'n3', 'n4', 'n5']);
  expect(disks.list(client)).toHaveLength(10);
  await expect(disks.open('n2', client)).rejects.toThrow('disk "n2" is damaged');
  await expect(disks.create('n6', 'gone')).rejects.toThrow('base image "gone" is damaged');
});

test('two overlays on one base differ only where each wrote, and survive a restart', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  await disks.create('n2', 'debian');
  const first = await attach('n1');
  const second = await attach('n2', other);
  await first.write(Buffer.from('first'), 4094);
  await second.write(Buffer.from('second'), 1_048_570);
  await second.trim(1_100_000, 50_000);
  const expected1 = Buffer.from(image);
  expected1.write('first', 4094);
  const expected2 = Buffer.from(image);
  expected2.write('second', 1_048_570);
  expected2.fill(0, 1_100_000, 1_150_000);
  expect((await contentOf(first)).equals(expected1)).toBe(true);
  expect((await contentOf(second)).equals(expected2)).toBe(true);
  expect(disks.show('n1')).toMatchObject({ blocksWritten: 2, blocksZeroed: 0, attached: '10.0.0.1' });
  await disks.close();
  disks = await openStore();
  expect((await contentOf(await attach('n1'))).equals(expected1)).toBe(true);
  expect((await contentOf(await attach('n2'))).equals(expected2)).toBe(true);
  expect((await contentOf(await attach('base:debian'))).equals(image)).toBe(true);
  expect(disks.show('n2')).toMatchObject({ blocksWritten: 3, blocksZeroed: 11 });
});

test('one client at a time; free again as soon as it is given back, with what was not flushed yet', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  const disk = await attach('n1');
  const busy = { refused: 'busy', why: 'disk "n1" is in use by 10.0.0.1' };
  expect(await disks.open('n1', other)).toEqual(busy);
  expect(await disks.open('n1', client)).toEqual(busy);
  await disk.write(Buffer.from('hello'), 0);
  const closing = disk.close();
  const next = await attach('n1', other);
  expect((await contentOf(next)).toString('latin1', 0, 5)).toBe('hello');
  await closing;
  await next.write(Buffer.from('J'), 0);
  await next.close();
  await disk.close();
  expect(disks.show('n1')).not.toHaveProperty('attached');
  expect((await contentOf(await attach('n1'))).toString('latin1', 0, 5)).toBe('Jello');
});

test('a client that comes at the very moment the last one leaves has a disk that works', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  for (let steps = 0; steps < 20; steps++) {
    const leaving = await attach('n1');
    await leaving.flush();
    const closing = leaving.close();
    for (let i = 0; i < steps; i++) await Promise.resolve();
    const next = await attach('n1', other);
    await closing;
    await new Promise((resolve) => setImmediate(resolve));
    await next.write(Buffer.alloc(4096, steps), 0);
    await next.flush();
    await next.close();
  }
});

test('a disk that changes hands twice during one flush keeps what each of them wrote', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  const { sync } = SystemFile.prototype;
  const held: (() => void)[] = [];
  const gated = vi.spyOn(SystemFile.prototype, 'sync').mockImplementation(async function (this: SystemFile) {
    await new Promise<void>((go) => held.push(go));
    await sync.call(this);
  });
  /** Lets the sync that waits end. */
  const go = async (): Promise<void> => {
    await eventually(() => expect(held).toHaveLength(1));
    held.shift()?.();
  };
  const first = await attach('n1');
  await first.write(Buffer.from('first'), 0);
  const firstClosing = first.close();
  const second = await attach('n1', other);
  await second.write(Buffer.from('second'), 8192);
  const secondClosing = second.close();
  // The first sync is that of the open, the second that of both clients' flushes.
  await go();
  await eventually(() => expect(held).toHaveLength(1));
  const third = await attach('n1');
  expect((await contentOf(third)).toString('latin1', 8192, 8198)).toBe('second');
  await third.write(Buffer.from('third'), 16384);
  gated.mockRestore();
  await go();
  await Promise.all([firstClosing, secondClosing]);
  await third.close();
  const last = await contentOf(await attach('n1'));
  expect([0, 8192, 16384].map((at) => last.toString('latin1', at, at + 5))).toEqual([
    'first',
    'secon',
    'third',
  ]);
});

test('a base is read by many and written by none', async () => {
  await disks.addBase('debian', file);
  const [one, two] = [await attach('base:debian'), await attach('base:debian', other)];
  expect(one.readOnly && two.readOnly).toBe(true);
  await expect(one.write(Buffer.alloc(1), 0)).rejects.toMatchObject({ code: 'EPERM' });
  await expect(one.trim(0, 1)).rejects.toMatchObject({ code: 'EPERM' });
  await expect(one.writeZeroes(0, 1, true)).rejects.toMatchObject({ code: 'EPERM' });
});

test('the policy decides what a client sees and opens', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  await disks.create('n2', 'debian');
  await disks.close();
  disks = await openStore((name, { address }) =>
    name === 'n1' && address === client.address ? true : `${name} is not for ${address}`,
  );
  expect(disks.list(client)).toEqual(['n1']);
  expect(await disks.open('n2', client)).toEqual({ refused: 'policy', why: 'n2 is not for 10.0.0.1' });
  expect(disks.describe('base:debian', client)).toMatchObject({ refused: 'policy' });
  expect(disks.describe('n1', client)).toEqual({ size: SIZE, readOnly: false, blockSize: 4096 });
});

test('an overlay is never put over other content than it was made for', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  rmSync(join(dir, 'state/bases/debian.json'));
  rmSync(join(dir, 'state/bases/debian.img'), { force: true });
  writeFileSync(file, randomBytes(SIZE));
  await disks.addBase('debian', file);
  await expect(disks.open('n1', client)).rejects.toThrow(/made over another content of base "debian"/);
  // The failed open holds nothing, and does no more to a file that may be another one's now.
  expect(disks.show('n1')).not.toHaveProperty('attached');
  const reads = vi.spyOn(SystemFile.prototype, 'readNow');
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(reads).not.toHaveBeenCalled();
  expect(warnings).toEqual([]);
});

test('a file that is closed is closed to all', async () => {
  const closed = new SystemFile(file, 'r+');
  closed.close();
  const bytes = Buffer.alloc(512);
  const other = new SystemFile(file, 'r+');
  for (const call of [
    () => closed.readNow(bytes, 0),
    () => closed.writeNow(bytes, 0),
    () => closed.size(),
    () => closed.truncate(0),
    () => closed.punch(0, 4096),
    () => closed.close(),
  ])
    expect(call).toThrow(/is closed/);
  for (const call of [closed.read(bytes, 0), closed.write(bytes, 0), closed.sync()])
    await expect(call).rejects.toThrow(/is closed/);
  other.close();
  expect(readFileSync(file).equals(image)).toBe(true);
});

test('a base image that is changed while it is in use is an error for all who read it, and for who comes next', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  const disk = await attach('n1');
  const stored = join(dir, 'state/bases/debian.img');
  chmodSync(stored, 0o644);
  const image = readFileSync(stored);
  image[0]! ^= 1;
  writeFileSync(stored, image);
  await eventually(() =>
    expect(disk.read(Buffer.alloc(512), 0)).rejects.toThrow(/"debian" was changed while it is in use/),
  );
  await expect(disk.write(Buffer.alloc(512), 0)).rejects.toMatchObject({ code: 'EIO' });
  await disk.close();
  await expect(disks.open('n1', client)).rejects.toThrow(/"debian" was changed/);
  await disks.close();
  disks = await openStore();
  await expect(disks.open('n1', client)).rejects.toThrow(/its content is not what was added/);
});

test('a base image that was copied with the state folder is verified once, and is good', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  await disks.close();
  const stored = join(dir, 'state/bases/debian.img');
  writeFileSync(`${stored}.copy`, readFileSync(stored));
  renameSync(`${stored}.copy`, stored);
  const before = readFileSync(join(dir, 'state/bases/debian.json'), 'utf8');
  disks = await openStore();
  expect((await contentOf(await attach('n1'))).equals(image)).toBe(true);
  expect(readFileSync(join(dir, 'state/bases/debian.json'), 'utf8')).not.toBe(before);
});

test('an overlay that another imager has is refused', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  const second = await openStore();
  const disk = await attach('n1');
  expect(await second.open('n1', other)).toEqual({
    refused: 'busy',
    why: 'disk "n1" is in use by another process of this machine',
  });
  await disk.close();
  const opened = await second.open('n1', other);
  expect(opened).not.toHaveProperty('refused');
  expect(await disks.open('n1', client)).toMatchObject({ refused: 'busy' });
  await second.close();
});

test('an overlay that lingers is there for who comes back, but for no other imager before it is closed', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  await disks.close();
  disks = await Disks.open({ dir: join(dir, 'state'), log: pino({ level: 'silent' }), lingerMs: 3_600_000 });
  const opens = vi.spyOn(OverlayStore, 'openInTurns');
  const first = await attach('n1');
  await first.write(Buffer.alloc(4096, 7), 0);
  await first.close();
  const second = await openStore();
  expect(await second.open('n1', other)).toMatchObject({ refused: 'busy' });
  const again = await attach('n1');
  expect(opens).toHaveBeenCalledTimes(1);
  expect((await contentOf(again)).subarray(0, 4096)).toEqual(Buffer.alloc(4096, 7));
  await again.close();
  // Another file at its place is another disk.
  const path = join(dir, 'state/disks/n1/overlay');
  writeFileSync(`${path}.copy`, readFileSync(path));
  renameSync(`${path}.copy`, path);
  await (await attach('n1')).close();
  expect(opens).toHaveBeenCalledTimes(2);
  opens.mockRestore();
  await disks.close();
  await expect(second.open('n1', other)).resolves.not.toHaveProperty('refused');
  await second.close();
});

test('an overlay is closed when it lingered for its time', async () => {
  await disks.addBase('debian', file);
  await disks.create('n1', 'debian');
  await disks.close();
  disks = await Disks.open({ dir: join(dir, 'state'), log: pino({ level: 'silent' }), lingerMs: 1 });
  await (await attach('n1')).close();
  const second = await openStore();
  await eventually(async () => {
    const opened = await second.open('n1', other);
    expect(opened).not.toHaveProperty('refused');
  });
  await second.close();
});

test('listing disks opens none of them', async () => {
  await disks.addBase('debian', file);
  for (const name of ['n1', 'n2']) await disks.create(name, 'debian');
  const reads = vi.spyOn(SystemFile.prototype, 'readNow');
  expect(disks.all().map(({ blocksWritten }) => blocksWritten)).toEqual([0, 0]);
  // A superblock each.
  expect(reads).toHaveBeenCalledTimes(2);
  const disk = await attach('n1');
  await disk.write(Buffer.alloc(4096), 4096);
  expect(disks.show('n1')).toMatchObject({ blocksWritten: 1 });
  await disk.close();
  expect(disks.all().map(({ blocksWritten }) => blocksWritten)).toEqual([1, 0]);
});

test('leftovers of a process that died are removed, those of a live one are kept', async () => {
  const gone = Number(execFileSync('sh', ['-c', 'echo $$']).toString());
  for (const folder of ['bases', 'disks'])
    for (const pid of [gone, process.ppid]) writeFileSync(join(dir, 'state', folder, `.new-${pid}-0`), '');
  await disks.close();
  disks = await openStore();
  for (const folder of ['bases', 'disks'])
    expect(readdirSync(join(dir, 'state', folder))).toEqual([`.new-${process.ppid}-0`]);
});

test('a lock that cannot be had is no lock', () => {
  const locked = new SystemFile(file, 'r+');
  expect(locked.lock()).toBe(true);
  locked.close();
  expect(() => lockFile(-1, 'x')).toThrow('x cannot be locked against other processes: EBADF');
});

test('a disk whose flush fails at the end keeps no other from being closed, nor the bases', async () => {
  await disks.addBase('web', file);
  for (const name of ['n1', 'n2']) {
    await disks.create(name, 'web');
    const disk = await attach(name, name === 'n1' ? client : other);
    await disks.withOverlay(name, ({ store }) => store.settled());
    await disk.write(Buffer.alloc(4096, 1), 0);
  }
  const { sync } = SystemFile.prototype;
  let failing: SystemFile | undefined;
  vi.spyOn(SystemFile.prototype, 'sync').mockImplementation(async function (this: SystemFile) {
    failing ??= this;
    if (this === failing) throw new DiskError('EIO', 'the drive is gone');
    await setTimeout(20);
    return sync.call(this);
  });
  const close = vi.spyOn(SystemFile.prototype, 'close');
  await expect(disks.close()).rejects.toThrow('the drive is gone');
  // Two overlays and their base.
  expect(close).toHaveBeenCalledTimes(3);
});
