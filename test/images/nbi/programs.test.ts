/** The programs' bytes are those of their sources. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { nbiLoader } from '../../../imager/images/nbi/loader.ts';
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

test('the loader ends below its buffers, and has the path of its image at 8 and the size at 136', () => {
  expect(0x7c00 + LOADER.length).toBeLessThan(0x9800);
  const name = 'x'.repeat(63);
  const files = { 'boot.nbi': { bytes: 0x01020304, sha256: '' } };
  const loader = Buffer.from(nbiLoader({ name, kind: 'nbi', arch: 'amd64', args: '', files, added: '' }));
  expect(loader.length).toBe(LOADER.length);
  expect(loader.subarray(8, 136).toString()).toBe(`images/${name}/boot.nbi`.padEnd(128, '\0'));
  expect(loader.readUInt32LE(136)).toBe(0x01020304);
  expect(loader.subarray(140).equals(LOADER.subarray(140))).toBe(true);
  expect(Buffer.from(LOADER.subarray(8, 140)).equals(Buffer.alloc(132))).toBe(true);
});
