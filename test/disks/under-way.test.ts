/** A drive so slow that the journal's records go through the thread pool: what else happens while one is under way. */
import { expect, test } from 'vitest';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { byteOf, fresh, killed, open, opened, tick, write } from './overlays-in-memory.ts';
import type { VolatileFile } from './volatile-file.ts';

/** Has records, which are no whole blocks, wait until `go` is called; tells whether one is under way. */
function heldRecords(file: VolatileFile): { go: () => void; underWay: () => boolean } {
  const { write } = file;
  let go = (): void => {};
  let underWay = 0;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  file.write = async (source, offset) => {
    if (source.length % BLOCK_SIZE === 0) return write.call(file, source, offset);
    underWay++;
    await gate;
    await write.call(file, source, offset);
    underWay--;
  };
  return { go, underWay: () => underWay > 0 };
}

test("a file is not closed before the last record is in it: its number may be another file's by then", async () => {
  const file = fresh();
  const disk = await opened(file);
  await write(disk, 0, 1);
  file.prompts = false;
  const records = heldRecords(file);
  let atClose: boolean | undefined;
  file.close = () => {
    atClose = records.underWay();
  };
  const closed = disk.close();
  for (let i = 0; i < 50; i++) await tick();
  records.go();
  await closed;
  expect(atClose).toBe(false);
});

test('a sync that fails while a record is under way ends the journal, and nothing else', async () => {
  const file = fresh();
  const disk = await opened(file);
  await write(disk, 0, 1);
  let end = (): void => {};
  file.syncGate = new Promise<void>((resolve) => {
    end = resolve;
  });
  const flushed = disk.flush();
  await tick();
  file.prompts = false;
  const records = heldRecords(file);
  const written = write(disk, 1, 2);
  while (!records.underWay()) await tick();
  file.failing = 'sync';
  end();
  await expect(flushed).rejects.toThrow('no more writes');
  records.go();
  await expect(written).rejects.toThrow('no more writes');
  for (let i = 0; i < 5; i++) await tick();
  const next = await opened(killed(file));
  expect([await byteOf(next, 0), await byteOf(next, 1)]).toEqual([0, 0]);
});

test('the end of the journal is not overtaken by a record that was under way', async () => {
  const file = fresh();
  let end = (): void => {};
  file.syncGate = new Promise<void>((resolve) => {
    end = resolve;
  });
  file.prompts = false;
  const records = heldRecords(file);
  const disk = open(file);
  const written = write(disk, 1, 2);
  while (!records.underWay()) await tick();
  file.failing = 'sync';
  end();
  records.go();
  await expect(written).rejects.toThrow('no more writes');
  for (let i = 0; i < 5; i++) await tick();
  expect(await byteOf(await opened(killed(file)), 1)).toBe(0);
});
