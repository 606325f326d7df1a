/** A server as a process that can be killed: server.ts, over a store of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { Output } from './output.ts';

export class Victim {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #output: Output;

  private constructor(child: ChildProcess, output: Output, port: number) {
    this.#child = child;
    this.#output = output;
    this.port = port;
  }

  /**
   * `program` is server.ts bundled, `busy` its DISKs; `enter` comes before the command, `env` on top of this process's.
   * Resolves when it serves.
   */
  static async start(
    program: string,
    dir: string,
    {
      enter = [],
      env = {},
      busy = [],
    }: { enter?: string[]; env?: Record<string, string>; busy?: string[] } = {},
  ): Promise<Victim> {
    const [command, ...args] = [...enter, process.execPath, '--enable-source-maps', program, dir, ...busy];
    const child = spawn(command!, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const output = new Output(child);
    const ready = await output.said(/^ready \d+$/m);
    return new Victim(child, output, Number(ready.split(' ')[1]));
  }

  get uri(): string {
    return `nbd://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves with the part of what it printed that matches, at once or as soon as it is there. */
  said(pattern: RegExp): Promise<string> {
    return this.#output.said(pattern);
  }

  /** All it printed. */
  get text(): string {
    return this.#output.text;
  }

  /** SIGKILL now; resolves when it is gone. */
  kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    return this.#output.ended;
  }

  /** Ends it in order. */
  stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    return this.#output.ended;
  }
}
