/** Processes in a namespace. What `nsenter` starts is its child: signals must go to that one. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process that was started with NetworkNamespace.spawn. */
export class InsideProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ending>;
  #over = false;

  constructor(child: ChildProcess) {
    this.child = child;
    this.ended = new Promise((resolve) => {
      const end = (ending: Ending) => {
        this.#over = true;
        resolve(ending);
      };
      child.once('error', () => end({ code: 127, signal: null }));
      child.once('close', (code, signal) => end({ code, signal }));
    });
  }

  get over(): boolean {
    return this.#over;
  }

  /** Stops the program where it stands, where it runs. */
  pause(): void {
    for (const pid of childrenOf(this.child.pid)) send(pid, 'SIGSTOP');
  }

  /** Lets a paused program go on; nsenter stops itself where its child does. */
  resume(): void {
    for (const pid of childrenOf(this.child.pid)) send(pid, 'SIGCONT');
    this.child.kill('SIGCONT');
  }

  /** Sends `signal` to the program itself; nothing where it has ended. Resolves when it is gone. */
  async end(signal: NodeJS.Signals): Promise<Ending> {
    while (!this.#over) {
      const children = childrenOf(this.child.pid);
      for (const pid of children) send(pid, signal);
      if (children.length > 0) break;
      await setTimeout(2); // nsenter has not forked yet, or is about to end.
    }
    return this.ended;
  }
}

function childrenOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return []; // It ended meanwhile.
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
