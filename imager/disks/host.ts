/** What host.c has, which `make build` compiles. Where it is not built, disks work on without, or with what Node has. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';

/** See host.c. */
interface Addon {
  checksums(bytes: Uint8Array, crcs: Uint32Array): boolean;
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

/** Puts the CRC-32 of each 4096 bytes into `crcs`, as many as there are; false where that cannot be done here. */
export function checksumsHere(bytes: Uint8Array, crcs: Uint32Array): boolean {
  const calls = host();
  return calls !== false && calls.checksums(bytes, crcs);
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
