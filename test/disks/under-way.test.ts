/** A drive so slow that the journal's records go through the thread pool: what else happens while one is under way. */
import { expect, test } from 'vitest';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { fresh, opened, tick, write } from './overlays-in-memory.ts';
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
