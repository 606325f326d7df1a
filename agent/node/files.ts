/** Files of the Node host that are written so that a power cut does no harm, and calls on devices. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HostError } from '../linux/host.ts';
import { attempt, hostError } from './errors.ts';
import { TOOL_MS, tool } from './tool.ts';

const MAX_ANSWER = 4096;

/** As Host.syncDirectory(). */
export function syncDirectory(path: string): void {
  withFile(path, 'r', 0, syncFile);
}

/** As Host.writeStored(). */
export function writeStored(path: string, offset: number, bytes: Uint8Array): void {
  withFile(path, 'r+', 0o666, (fd) => {
    writeAll(fd, bytes, offset);
    syncFile(fd);
  });
}

/** As Host.replaceFile(). */
export function replaceFile(path: string, bytes: Uint8Array, mode: number): void {
  const beside = `${path}.new`;
  // One left behind by a power cut keeps its mode: start from none.
  attempt(() => fs.rmSync(beside, { force: true }));
  withFile(beside, 'wx', mode, (fd) => {
    writeAll(fd, bytes, 0);
    syncFile(fd);
  });
  attempt(() => fs.renameSync(beside, path));
  syncDirectory(dirname(path));
}

/** As Host.replaceFileAside(). */
export async function replaceFileAside(path: string, bytes: Uint8Array): Promise<void> {
  const beside = `${path}.new`;
  try {
    await rm(beside, { force: true });
    await writeFile(beside, bytes, { flag: 'wx', mode: 0o600, flush: true });
    await rename(beside, path);
    const directory = await open(dirname(path));
    await directory.sync().finally(() => directory.close());
  } catch (error) {
    throw hostError(error);
  }
}

/** As Host.writeVariable(). */
export function writeVariable(path: string, bytes: Uint8Array): void {
  const write = () =>
    withFile(path, 'w', 0o644, (fd) => {
      const put = fs.writeSync(fd, bytes);
      if (put !== bytes.length)
        throw new HostError('EIO', `${path}: ${put} of ${bytes.length} bytes written`);
    });
  try {
    write();
  } catch (error) {
    if (hostError(error).code !== 'EPERM') throw error;
    tool(['chattr', '-i', path]);
    try {
      write();
    } finally {
      tool(['chattr', '+i', path]);
    }
  }
}

/** As Host.transact(). */
export function transact(path: string, request: Uint8Array): Uint8Array {
  const answer = new Uint8Array(MAX_ANSWER);
  let length = 0;
  withFile(path, 'r+', 0, (fd) => {
    fs.writeSync(fd, request);
    length = fs.readSync(fd, answer);
  });
  return answer.subarray(0, length);
}

/** As Host.lock(). */
export function lock(path: string): (() => void) | undefined {
  const fd = attempt(() => opened(path));
  const release = () => fs.closeSync(fd);
  try {
    // The lock is the open file's, which this process shares with flock(1) and keeps.
    execFileSync('flock', ['-n', '3'], { timeout: TOOL_MS, stdio: ['ignore', 'ignore', 'ignore', fd] });
    return release;
  } catch (error) {
    release();
    if ((error as { status?: number | null }).status === 1) return undefined;
    throw hostError(error);
  }
}

/**
 * To be read alone, which a lock is enough for: a file that is open for writing keeps its file system from being made read-only, and
 * so clean, before a restart. Made where it is not there; what cannot be made (a folder) is opened as it is.
 */
function opened(path: string): number {
  try {
    return fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_CREAT, 0o600);
  } catch {
    return fs.openSync(path, 'r');
  }
}

function withFile(path: string, flags: string, mode: number, use: (fd: number) => void): void {
  attempt(() => {
    const fd = fs.openSync(path, flags, mode);
    try {
      use(fd);
    } finally {
      fs.closeSync(fd);
    }
  });
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; )
    done += fs.writeSync(fd, bytes, done, bytes.length - done, offset + done);
}

function syncFile(fd: number): void {
  try {
    fs.fsyncSync(fd);
  } catch (error) {
    // Sysfs attributes and character devices have nothing to flush.
    if (hostError(error).code !== 'EINVAL') throw error;
  }
}
