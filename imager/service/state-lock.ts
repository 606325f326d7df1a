/** One imager a state directory, held by the kernel: whatever ends the process gives the lock back. */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../storage/durable.ts';

export interface StateLock {
  release(): void;
}

/**
 * Takes the lock of `directory`, which is made where it is missing. Throws where another process has it. Node has no
 * flock(2): the util-linux tool takes it on our own open file, which it inherits, and which keeps it (flock(2): locks
 * belong to the open file description).
 */
export function lockState(directory: string): StateLock {
  // Base images may have keys of nodes in them.
  makeFolder(directory, 0o700);
  const path = join(directory, 'lock');
  const fd = openSync(path, 'a+', 0o644);
  const { status, error, stderr } = spawnSync('flock', ['--nonblock', '--conflict-exit-code', '75', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
    encoding: 'utf8',
  });
  if (status !== 0) {
    closeSync(fd);
    if (error !== undefined)
      throw new Error(`cannot lock ${path}: ${error.message} (flock is in Debian's util-linux)`);
    if (status !== 75) throw new Error(`cannot lock ${path}: ${stderr.trim()}`);
    const holder = readFileSync(path, 'utf8').trim();
    throw new Error(
      `state directory ${directory} is in use by another imager${holder === '' ? '' : ` (${holder})`}: ` +
        'stop it first, or give this one its own "state" in the configuration',
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `process ${process.pid}\n`);
  return { release: () => closeSync(fd) };
}
