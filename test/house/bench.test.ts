/** `make bench` is a program of its own: what it shares with tests works without vitest. */
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';

test('nothing that make bench loads is of vitest, which works in its own workers alone', async () => {
  const { metafile } = await build({
    entryPoints: [projectFile('test/bench/main.ts')],
    ...{ bundle: true, platform: 'node', format: 'esm', packages: 'external' },
    ...{ write: false, metafile: true, outdir: 'never-written' },
  });
  const loads = Object.entries(metafile.inputs).flatMap(([file, { imports }]) =>
    imports.map(({ path }) => ({ file, path })),
  );
  expect(loads.length).toBeGreaterThan(100);
  expect(loads.filter(({ path }) => path === 'vitest' || path.startsWith('vitest/'))).toEqual([]);
});
