/** Runs TypeScript programs of the tests inside a network namespace, where the test process itself cannot go. */
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { programOfRun } from './programs.ts';

/** Bundles `entry` (a path from the project's root), once in a run of the tests, and gives the path of the program for Node. */
export async function bundle(entry: string): Promise<string> {
  return join(await programOfRun(entry, (folder) => bundleInto(folder, entry)), 'program.mjs');
}

async function bundleInto(folder: string, entry: string): Promise<void> {
  await build({
    entryPoints: [{ in: projectFile(entry), out: 'program' }],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // What is imported when it is needed stays in a file of its own: a verb of the command line starts in half the time.
    splitting: true,
    platform: 'node',
    format: 'esm',
    external: await packages(),
    sourcemap: 'inline',
    // Some of them are CommonJS.
    banner: {
      js: "import { createRequire as requirer } from 'node:module'; const require = requirer(import.meta.url);",
    },
  });
}

/** What each start of a verb loads: their many files take a third of its time. */
const WITHIN = ['zod', 'yaml', 'commander'];

/** Those that stay where they are. */
async function packages(): Promise<string[]> {
  const { dependencies, devDependencies } = JSON.parse(await readFile(projectFile('package.json'), 'utf8'));
  return Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !WITHIN.includes(name));
}

/** Starts a bundled program inside and resolves once it printed a line that starts with `ready`, with that line. */
export async function startInside(
  space: NetworkNamespace,
  program: string,
  args: string[],
): Promise<{ child: ChildProcess; ready: string; output: () => string }> {
  const child = space.spawn([process.execPath, '--enable-source-maps', program, ...args]);
  let output = '';
  const ready = await new Promise<string>((done, fail) => {
    const take = (chunk: Buffer) => {
      output += chunk;
      const line = output.split('\n').find((text) => text.startsWith('ready'));
      if (line !== undefined) done(line);
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    child.once('exit', (code) =>
      fail(new Error(`${program} ended with ${code} before it was ready:\n${output}`)),
    );
  });
  return { child, ready, output: () => output };
}
