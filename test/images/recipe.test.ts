import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { compressedKernel } from '../../imager/images/recipe.ts';

test('a kernel is compressed once a package version, not once a release', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'recipe-'));
  try {
    const path = join(dir, 'vmlinuz-6.1.0-1-arm64');
    let times = 0;
    const kernel = async (version: string) =>
      gunzipSync(await compressedKernel(path, version, join(dir, 'cache'), () => times++)).toString();
    writeFileSync(path, 'first');
    expect([await kernel('6.1.1-1'), await kernel('6.1.1-1'), times]).toEqual(['first', 'first', 1]);
    writeFileSync(path, 'mended');
    expect([await kernel('1:6.1.1-2'), await kernel('6.1.1-1'), times]).toEqual(['mended', 'first', 2]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
