import { expect, test } from 'vitest';
import { Attachment } from '../../imager/packs/attachment.ts';
import { TracedDisk } from '../../imager/packs/traced-disk.ts';
import { MemoryDisk } from '../nbd/memory-catalog.ts';

test('what is sent from files is told as what is read is, for as long as somebody listens', async () => {
  const told: number[][] = [];
  const watcher = {
    listening: true,
    reads: (offset: number, length: number) => void told.push([offset, length]),
    changes: () => {},
  };
  const inner = new MemoryDisk('n1', 1000);
  const part = { offset: 100, length: 200, lend: () => 0, readNow: () => {} };
  inner.fileParts = (...asked) => (asked.join() === '50,300,64' ? [part] : []);
  const disk = new TracedDisk(inner, watcher, () => {});
  expect(disk.fileParts(50, 300, 64)).toEqual([part]);
  await disk.read(Buffer.alloc(7), 9);
  watcher.listening = false;
  expect(disk.fileParts(50, 300, 64)).toEqual([part]);
  expect(told).toEqual([
    [50, 300],
    [9, 7],
  ]);
});

test('a disk whose map cannot be read is traced no further, and says so itself', async () => {
  const attachment = new Attachment({ base: 'b', image: { size: 8192, digest: '' }, address: '10.0.0.1' });
  const inner = new MemoryDisk('n1', 8192);
  attachment.disks.add(inner);
  const disk = new TracedDisk(inner, attachment, () => {});
  await disk.read(Buffer.alloc(1), 0);
  inner.extents = () => {
    throw new Error('damaged');
  };
  await disk.read(Buffer.alloc(1), 4096);
  expect(attachment.runs).toEqual([{ block: 0, count: 1 }]);
});
