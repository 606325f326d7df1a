/** The sources of QuickJS: those inside the npm package qjsc, with quickjs.patch applied. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** What is compiled of them, for the agent and for its compiler. */
export const QUICKJS_FILES = ['quickjs.c', 'libregexp.c', 'libunicode.c', 'cutils.c', 'libbf.c'];

/**
 * The folder of the patched sources, made in `cache` where it is not there. `root` is the project's. Rejects where the
 * patch does not fit to the letter: then the package has other sources than those it was written for.
 */
export async function quickjsSources(root: string, cache: string): Promise<string> {
  const original = join(
    dirname(createRequire(join(root, 'package.json')).resolve('qjsc/package.json')),
    'deps/quickjs_2021_03_27',
  );
  const patch = join(root, 'agent/quickjs/quickjs.patch');
  const state = createHash('sha256').update(readFileSync(patch));
  for (const name of QUICKJS_FILES) state.update(readFileSync(join(original, name)));
  const folder = join(cache, `quickjs-${state.digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  const work = mkdtempSync(join(cache, 'work-'));
  try {
    cpSync(original, work, { recursive: true });
    await promisify(execFile)('patch', ['-p1', '--fuzz=0', '-i', patch], { cwd: work }).catch(
      (error: Error & { stdout?: string }) => {
        throw new Error(`quickjs.patch does not fit the sources in qjsc: ${error.stdout || error.message}`);
      },
    );
    renameSync(work, folder);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    // Another build was faster and has made the same.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
  return folder;
}
