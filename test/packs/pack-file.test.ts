/** How packs are written. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { makePack } from '../../imager/packs/pack-file.ts';

const BLOCK = 4096;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pack-file-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true });
});

test('a write that the file system takes in parts only is written to its end', async () => {
  const image = join(dir, 'web.img');
  writeFileSync(image, randomBytes(300 * BLOCK));
  const trace = {
    ...{ size: 300 * BLOCK, digest: 'ab'.repeat(32), boots: 1 },
    runs: [{ block: 0, count: 300 }],
  };
  const make = async (): Promise<Buffer> => {
    await makePack(dir, 'web', trace, new AbortController().signal);
    return readFileSync(join(dir, 'web.pack'));
  };
  const whole = await make();
  const handle = await open(image);
  await handle.close();
  const proto = Object.getPrototypeOf(handle) as typeof handle;
  const write = proto.write as (...all: unknown[]) => Promise<unknown>;
  // As where the space comes to its end.
  vi.spyOn(proto, 'write').mockImplementation(async function (this: typeof proto, ...args: unknown[]) {
    const [bytes, from = 0, length = (bytes as Buffer).length, at] = args;
    return (await write.call(this, bytes, from, Math.ceil((length as number) / 2), at)) as never;
  });
  expect((await make()).equals(whole)).toBe(true);
});
