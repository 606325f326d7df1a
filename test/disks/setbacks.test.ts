/** What goes wrong in the middle of something: writes and syncs that fail, power cut, kills; nothing may be lost by it. */
import { expect, test } from 'vitest';
import { DiskError } from '../../imager/disks/disk.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { emptyOverlay } from '../../imager/disks/overlay-file.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';
import { VolatileFile } from './volatile-file.ts';

const BLOCKS = 20;
let salts = 0;
const salt = (): string => (++salts).toString(16).padStart(16, '0');
const base = {
  file: new VolatileFile(new Uint8Array(BLOCKS * BLOCK_SIZE)),
  size: BLOCKS * BLOCK_SIZE,
  zeros: new ZeroMap(BLOCKS * BLOCK_SIZE),
  intact: () => {},
};

function fresh(blocks = BLOCKS): VolatileFile {
  return new VolatileFile(
    emptyOverlay({ name: 'b', size: base.size, digest: '00'.repeat(32) }, blocks * BLOCK_SIZE, salt()),
  );
}

function open(file: VolatileFile): Overlay {
  return new Overlay('disk', OverlayStore.open(file, { name: 'disk', salt, warn: () => {} }), base);
}

async function opened(file: VolatileFile): Promise<Overlay> {
  const disk = open(file);
  await disk.store.settled();
  return disk;
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const write = (disk: Overlay, block: number, fill: number): Promise<void> =>
  disk.write(new Uint8Array(BLOCK_SIZE).fill(fill), block * BLOCK_SIZE);

async function byteOf(disk: Overlay, block: number): Promise<number> {
  const bytes = new Uint8Array(BLOCK_SIZE);
  await disk.read(bytes, block * BLOCK_SIZE);
  return bytes[0]!;
}

/** The process was killed: all it wrote is there. */
const killed = (file: VolatileFile): VolatileFile => new VolatileFile(file.content());
/** Power was cut: what was not synced is gone. */
const unpowered = (file: VolatileFile): VolatileFile => new VolatileFile(file.stored());

/** Has asynchronous writes, those of checkpoints, fail for lack of space while `when` says so. */
function failing(file: VolatileFile, when: () => boolean): void {
  const write = file.write.bind(file);
  file.write = async (source, offset) => {
    if (when()) throw new DiskError('ENOSPC', 'no space left');
    return write(source, offset);
  };
}

test('what was trimmed at the end of the file is cut off, though the journal names it: the disk opens', async () => {
  let file = fresh();
  let disk = await opened(file);
  await write(disk, 0, 1);
  await disk.trim(0, BLOCK_SIZE);
  await disk.flush();
  file = killed(file);
  disk = await opened(file);
  for (let i = 0; i < 20; i++) await tick();
  // The process that cuts it off is killed, too.
  disk = await opened(killed(file));
  expect(await byteOf(disk, 0)).toBe(0);
});

test('a link of the journal came to the drive, its segment did not: nothing else is put there', async () => {
  const file = fresh();
  const disk = await opened(file);
  await write(disk, 0, 7);
  await disk.flush();
  for (let i = 0; i < 5; i++) await tick();
  const checkpoint = disk.store.checkpoint();
  for (let i = 0; i < 3; i++) await Promise.resolve();
  // The segment's zeroes are one long write, the link a short one.
  const after = file.afterPowerCut((units) => (units > 1000 ? 0 : units), 1);
  expect(after.size()).toBeLessThan(file.size());
  await checkpoint;
  const next = await opened(after);
  expect(await byteOf(next, 0)).toBe(7);
  await write(next, 3, 9);
  await write(next, 4, 10);
  await next.flush();
  for (const each of [next, open(unpowered(after))])
    expect([await byteOf(each, 0), await byteOf(each, 3), await byteOf(each, 4)]).toEqual([7, 9, 10]);
});
