/**
 * Lock files of serial ports, `LCK..NAME` with a process id (Filesystem Hierarchy Standard 3.0, section 5.9): what terminal
 * programs and modem daemons look at before they open a port. Where the folder is not ours to write the kernel's lock
 * on the open port (port.ts) has to do.
 */
import { readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SerialFailure } from './failure.ts';

/** Takes the lock; gives the function that gives it back. Throws SerialFailure `in-use` or `port`. */
export function lockPort(path: string, folder = '/run/lock'): () => void {
  const file = join(folder, `LCK..${lockName(path)}`);
  const content = `${String(process.pid).padStart(10)}\n`;
  for (let tries = 0; tries < 2; tries++) {
    try {
      writeFileSync(file, content, { flag: 'wx', mode: 0o644 });
      return once(() => rmSync(file, { force: true }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return () => {};
    }
    const owner = ownerOf(file);
    if (owner !== undefined && isRunning(owner))
      throw new SerialFailure('in-use', `${path} is in use by process ${owner} (${file})`);
    try {
      rmSync(file, { force: true });
    } catch {
      return () => {};
    }
  }
  throw new SerialFailure('in-use', `${path} is being opened by another program`);
}

/** The second time the lock may be somebody else's. */
function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}

function lockName(path: string): string {
  try {
    return realpathSync(path)
      .replace(/^\/dev\//, '')
      .replaceAll('/', '_');
  } catch {
    throw new SerialFailure('port', `there is no port ${path}`);
  }
}

function ownerOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'latin1').trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
