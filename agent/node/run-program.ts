/** Programs started by the Node host: output, time limits, exit codes. */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import type { ProcessResult } from '../linux/host.ts';
import { HostError } from '../linux/host.ts';
import { OutputTail } from '../linux/output-tail.ts';
import { hostError } from './errors.ts';

/**
 * Runs a program in a session of its own, to its end or its time limit: then its whole process group is killed.
 * Rejects with HostError where it cannot be started.
 */
export function runProgram(
  argv: readonly string[],
  options: { timeoutMs: number; env?: Record<string, string> },
): Promise<ProcessResult> {
  const [file, ...args] = argv;
  if (file === undefined) return Promise.reject(new HostError('EINVAL', 'run: no program named'));
  return new Promise((done, fail) => {
    const child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    const tail = new OutputTail();
    let timedOut = false;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => tail.push(chunk));
    const timer = setTimeout(() => {
      timedOut = true;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      fail(hostError(error));
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      const finish = (): void => {
        done({ code: code ?? 128 + constants.signals[signal!], output: tail.text(), timedOut });
        // What the program left running may hold the pipes: they go on being read, but keep nothing alive.
        for (const stream of [child.stdout, child.stderr]) (stream as unknown as Socket).unref();
      };
      // What it wrote before its end is read by the end of the next whole turn of the event loop.
      setImmediate(() => setImmediate(finish));
    });
  });
}
