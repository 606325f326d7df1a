/** System calls of host.c, which `make build` compiles. Where it is not built, disks work on without what they give. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';

/** See host.c. */
interface Addon {
  punch(fd: number, offset: number, length: number): number;
  lock(fd: number): number;
  dataFrom(fd: number, offset: number): number;
  holeFrom(fd: number, offset: number): number;
}

const BUILT = 'dist/imager/disks/host.node';
const { EAGAIN, ENXIO } = constants.errno;

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

/** False where another process, or another open file of this one, has the lock. True also where there are no locks. */
export function lockFile(fd: number): boolean {
  const calls = host();
  return calls === false || calls.lock(fd) !== EAGAIN;
}

/**
 * Where the next run of data of an open file begins and ends, from `offset` on; undefined where only a hole follows. All
 * of it is data where the file system, or the build, cannot tell.
 */
export function nextData(fd: number, offset: number, size: number): { from: number; to: number } | undefined {
  const calls = host();
  const from = calls === false ? offset : calls.dataFrom(fd, offset);
  if (from === -ENXIO || from >= size) return undefined;
  if (calls === false || from < 0) return { from: offset, to: size };
  const to = calls.holeFrom(fd, from);
  return { from, to: to < 0 ? size : to };
}
