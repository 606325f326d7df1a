/** Programs started by the QuickJS host: output, time limits, exit codes. */
import * as bw from 'bw';
import type { ProcessResult } from '../linux/host.ts';
import { HostError } from '../linux/host.ts';
import { OutputTail } from '../linux/output-tail.ts';
import { POLLIN, startTimer, stopTimer, unwatch, watch } from './loop.ts';

const PIPE_SIZE = 64 * 1024;
/** Process 1 is started by the kernel without a PATH. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export class Processes {
  /** What to do at the end of a child. Others (orphans given to process 1) are reaped without a word. */
  readonly #running = new Map<number, (code: number) => void>();
  #signals: number | undefined;

  get busy(): boolean {
    return this.#running.size > 0;
  }

  /** Runs a program to its end, or to its time limit: then its whole process group is killed. */
  async run(
    argv: readonly string[],
    options: { timeoutMs: number; env?: Record<string, string> },
  ): Promise<ProcessResult> {
    const file = argv[0];
    if (file === undefined) throw new HostError('EINVAL', 'run: no program named');
    const [pid, output] = bw.spawn([file, ...argv], environment(options.env), true);
    const tail = new OutputTail();
    let timedOut = false;
    const timer = startTimer(() => {
      timedOut = true;
      bw.killGroup(pid);
    }, options.timeoutMs);
    let open = true;
    const drain = (): void => {
      open = takeAvailable(output, tail);
      if (open) watch(output, POLLIN, drain, true);
      else {
        unwatch(output, POLLIN);
        bw.close(output);
      }
    };
    watch(output, POLLIN, drain, true);
    const code = await new Promise<number>((ended) => {
      this.#running.set(pid, ended);
      this.#watchChildren();
    });
    stopTimer(timer);
    // What the program wrote before its end is in the pipe, or the pipe is read to its end and closed already.
    if (open) drain();
    const result = tail.text();
    // What it left running may hold the pipe: goes on being read, or SIGPIPE would end it, but belongs to no one.
    return { code, output: result, timedOut };
  }

  /** Starts a program that nobody waits for, on this program's own console. */
  start(file: string, argv: readonly string[]): void {
    bw.spawn([file, ...argv], environment(), false);
    this.#watchChildren();
  }

  #watchChildren(): void {
    this.#signals ??= bw.childSignals();
    const signals = this.#signals;
    watch(
      signals,
      POLLIN,
      () => {
        bw.read(signals, 4096);
        this.#reap();
        this.#watchChildren();
      },
      this.#running.size === 0,
    );
  }

  #reap(): void {
    for (let ended = bw.reap(); ended !== null; ended = bw.reap()) {
      const [pid, code] = ended;
      this.#running.get(pid)?.(code);
      this.#running.delete(pid);
    }
  }

  /** Collects orphans also where this program never starts one of its own. */
  adoptOrphans(): void {
    this.#watchChildren();
  }
}

/** Reads what is there into `tail` (a pipe holds no more than one read takes); false at the end of the output. */
function takeAvailable(fd: number, tail: OutputTail): boolean {
  const bytes = bw.read(fd, PIPE_SIZE);
  if (bytes !== null) tail.push(new Uint8Array(bytes));
  return bytes === null || bytes.byteLength > 0;
}

function environment(changes: Record<string, string> = {}): string[] {
  const all = new Map<string, string>([['PATH', DEFAULT_PATH]]);
  for (const line of bw.environment()) {
    const at = line.indexOf('=');
    if (at > 0) all.set(line.slice(0, at), line.slice(at + 1));
  }
  for (const [name, value] of Object.entries(changes)) all.set(name, value);
  return [...all].map(([name, value]) => `${name}=${value}`);
}
