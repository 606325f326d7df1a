/** Sources that the agent is built from and that are not in this repository: those of Debian 13's source packages. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * The folder with the sources of the package `name`, downloaded by `script` (debian-source.sh) where they are not in `cache`.
 * `version`: what its version must begin with, a regular expression. Rejects with what apt says. Safe to run several times
 * at once.
 */
export async function debianSource(
  cache: string,
  script: string,
  name: string,
  version: string,
  progress: (line: string) => void,
): Promise<string> {
  const folder = join(cache, name);
  if (!existsSync(join(folder, 'tree'))) progress(`downloading the sources of ${name}, from Debian 13`);
  await mkdir(folder, { recursive: true });
  try {
    await promisify(execFile)('flock', [join(folder, 'lock'), 'sh', script, folder, name, version]);
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`the sources of ${name}, from Debian 13: ${stderr?.trim() || message}`);
  }
  return join(folder, 'tree');
}
