import { expect, test } from 'vitest';
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
