/** Lines on standard output and standard error, out before the call ends: what is printed just before exit() must get there. */
import { writeSync } from 'node:fs';
import { hostError } from './errors.ts';

const PAUSE_MS = 1;
/** A pipe that stays full for so long is read by nobody: what is said is lost, and the agent goes on. */
const FULL_PIPE_MS = 1000;

export function say(fd: 1 | 2, line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  let left = FULL_PIPE_MS;
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
      left = FULL_PIPE_MS;
    } catch (error) {
      const { code } = hostError(error);
      // Nobody reads it.
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
      left -= PAUSE_MS;
      if (left < 0) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}
