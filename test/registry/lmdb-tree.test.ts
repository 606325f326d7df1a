import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LmdbTree } from '../../imager/registry/lmdb-tree.ts';
import { bundle } from '../support/inside.ts';

test('a process ends at once, however far its tree is with what it is given', async () => {
  const program = await bundle('test/registry/leaver.ts');
  for (let turns = 0; turns < 8; turns++) {
    const dir = await mkdtemp(join(tmpdir(), 'tree-'));
    const child = spawn(process.execPath, [program, dir, String(turns)], { stdio: 'inherit' });
    const hung = setTimeout(() => child.kill('SIGKILL'), 30_000);
    expect(await once(child, 'close'), `${turns} turns`).toEqual([0, null]);
    clearTimeout(hung);
    const tree = await LmdbTree.open(dir);
    expect([0, 3000]).toContain(tree.revision());
    await tree.close();
    await rm(dir, { recursive: true });
  }
});
