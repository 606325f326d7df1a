/** System calls of host.c, which `make build` compiles. Where it is not built, disks work on without what they give. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { StoreError } from './store-error.ts';

/** See host.c. */
interface Addon {
  punch(fd: number, offset: number, length: number): number;
  lock(fd: number): number;
}

const BUILT = 'dist/imager/disks/host.node';
const { EAGAIN } = constants.errno;

let addon: Addon | false | undefined;

function host(): Addon | false {
  addon ??= load();
  return addon;
}

/** Sources and compiled files are at different depths below the project's folder. */
function load(): Addon | false {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, BUILT);
    if (!existsSync(file)) continue;
    try {
      return createRequire(import.meta.url)(file) as Addon;
    } catch {
      // Built for another machine.
      return false;
    }
  }
  return false;
}

/** Whether the system calls are built and load. */
export function hasHostCalls(): boolean {
  return host() !== false;
}

/** Gives the space of a range of an open file back; false where it cannot be done. */
export function punchHole(fd: number, offset: number, length: number): boolean {
  const calls = host();
  return calls !== false && calls.punch(fd, offset, length) === 0;
}

/**
 * False where another process, or another open file of this one, has the lock. True also where the calls are not built.
 * Throws StoreError where the file's file system gives no locks: two imagers would write to one disk.
 */
export function lockFile(fd: number, path: string): boolean {
  const calls = host();
  if (calls === false) return true;
  const error = calls.lock(fd);
  if (error !== 0 && error !== EAGAIN)
    throw new StoreError(`${path} cannot be locked against other processes: ${getSystemErrorName(-error)}`);
  return error === 0;
}
