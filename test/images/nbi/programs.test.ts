/** The programs' bytes are those of their sources. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { nbiLoader } from '../../../imager/images/generated.ts';
import { FIRST_STAGE, LOADER } from '../../../imager/images/nbi/programs.ts';

const run = promisify(execFile);
const SOURCES = resolve(import.meta.dirname, '../../../firmware-stubs/nbi');

async function assembled(source: string, address: string): Promise<Uint8Array> {
  const dir = await mkdtemp(join(tmpdir(), 'nbi-'));
  try {
    const [object, program] = [join(dir, 'o'), join(dir, 'p')];
    await run('x86_64-linux-gnu-as', ['--32', join(SOURCES, source), '-o', object]);
    const format = ['-m', 'elf_i386', '--oformat', 'binary', '-Ttext', address];
    await run('x86_64-linux-gnu-ld', [...format, object, '-o', program]);
    return new Uint8Array(await readFile(program));
  } finally {
    await rm(dir, { recursive: true });
  }
}

test.each([
  ['first.S', '0', FIRST_STAGE],
  ['loader.S', '0x7c00', LOADER],
])('%s', async (source, address, bytes) => {
  expect(Buffer.from(await assembled(source, address)).toString('hex')).toBe(
    Buffer.from(bytes).toString('hex'),
  );
});

test('the loader ends below its buffers, and has the path of its image at 16', () => {
  expect(0x7c00 + LOADER.length).toBeLessThan(0x9000);
  const longest = nbiLoader('x'.repeat(63));
  expect(longest.length).toBe(LOADER.length);
  expect(Buffer.from(longest).subarray(16, 144).toString()).toBe(
    `images/${'x'.repeat(63)}/boot.nbi`.padEnd(128, '\0'),
  );
  expect(Buffer.from(longest.subarray(144)).equals(LOADER.subarray(144))).toBe(true);
  expect(LOADER.subarray(16, 144)).toEqual(new Uint8Array(128));
});
