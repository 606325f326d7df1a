/** Makes packs in the background, one at a time: they are read from the disk the nodes are served from. */
import type { Logger } from 'pino';
import { StoreError } from '../disks/store-error.ts';
import type { Tally } from '../journal/tally.ts';
import { Additions } from '../storage/additions.ts';
import { makePack } from './pack-file.ts';
import type { Trace } from './trace.ts';

export class PackMaker {
  readonly #dir: string;
  readonly #log: Logger;
  readonly #tally: Tally;
  readonly #additions = new Additions(StoreError);
  /** What is to be made, by base: only the newest trace of each counts. */
  readonly #wanted = new Map<string, Trace>();
  #working: Promise<void> | undefined;

  constructor(dir: string, log: Logger, tally: Tally) {
    this.#dir = dir;
    this.#log = log;
    this.#tally = tally;
  }

  /** Makes the pack of `base` some time soon. */
  want(base: string, trace: Trace): void {
    this.#wanted.set(base, trace);
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Makes it now. Rejects with the file system's error, with StoreError where it is interrupted. */
  async make(base: string, trace: Trace): Promise<void> {
    await this.#additions.run((signal) => makePack(this.#dir, base, trace, signal));
    this.#tally.count('packs.made');
  }

  async #work(): Promise<void> {
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      try {
        await this.make(...next);
      } catch (error) {
        if (error instanceof StoreError) return;
        this.#tally.count('packs.failed');
        this.#log.warn({ base: next[0], err: error }, 'the pack of this base image was not made');
      }
    }
  }

  #take(): [string, Trace] | undefined {
    const [next] = this.#wanted;
    if (next !== undefined) this.#wanted.delete(next[0]);
    return next;
  }

  /** Resolves once nothing is left to make. */
  async idle(): Promise<void> {
    await this.#working;
  }

  /** Interrupts what is being made. */
  async close(): Promise<void> {
    this.#wanted.clear();
    await this.#additions.close();
    await this.#working;
  }
}
