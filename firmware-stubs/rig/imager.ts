/** The imager as a process of the rig: started in the lab's namespace, stopped or killed at will. */
import { createWriteStream } from 'node:fs';
import { tail, waitFor } from './deadline.ts';
import type { InsideProcess } from './inside.ts';

export interface ImagerPlace {
  process: InsideProcess;
  /** File that takes what the imager writes, on both outputs. */
  logFile: string;
}

export class RigImager {
  readonly #place: ImagerPlace;
  readonly #changed = new Set<() => void>();
  #stdout = '';
  #log = '';
  #ended: string | undefined;

  /** Reads the outputs of a process that was just started. */
  constructor(place: ImagerPlace) {
    this.#place = place;
    const file = createWriteStream(place.logFile, { flags: 'a' });
    const { child } = place.process;
    const take = (chunk: string) => {
      this.#log += chunk;
      file.write(chunk);
      for (const listener of [...this.#changed]) listener();
    };
    child.stderr?.setEncoding('utf8').on('data', take);
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#stdout += chunk;
      take(chunk);
    });
    void place.process.ended.then(({ code, signal }) => {
      this.#ended = `the imager ended (${signal ?? `exit ${code}`})`;
      file.end();
      for (const listener of [...this.#changed]) listener();
    });
  }

  /** Resolves with the line that begins with `ready`. */
  ready(withinMs: number): Promise<string> {
    return waitFor({
      what: 'imager, line "ready"',
      withinMs,
      look: () =>
        this.#stdout
          .split('\n')
          .slice(0, -1)
          .find((line) => line.startsWith('ready')),
      onChange: (listener) => {
        this.#changed.add(listener);
        return () => this.#changed.delete(listener);
      },
      hopeless: () => this.#ended,
      logs: () => this.tail(),
    });
  }

  /** All it has written: log lines (pino JSON) and what it printed. */
  log(): string {
    return this.#log;
  }

  /** The end of the log under a title, for error messages. */
  tail(): string {
    return tail(`imager's log; all of it: ${this.#place.logFile}`, this.#log);
  }

  /** Resolves when it has ended, for whatever reason, with words that say how. */
  get ended(): Promise<string> {
    return this.#place.process.ended.then(() => this.#ended ?? 'the imager ended');
  }

  get running(): boolean {
    return !this.#place.process.over;
  }

  /** SIGTERM, and SIGKILL where it has not ended within `withinMs`. Gives the exit code, null where it had to be killed. */
  async stop(withinMs = 10_000): Promise<number | null> {
    const timer = setTimeout(() => void this.kill(), withinMs);
    const { code } = await this.#place.process.end('SIGTERM');
    clearTimeout(timer);
    return code;
  }

  /** SIGKILL, as a crash would. */
  async kill(): Promise<void> {
    await this.#place.process.end('SIGKILL');
  }
}
