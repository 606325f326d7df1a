/**
 * The boot journal: every event of a node or of a stranger, kept through restarts. Nodes and strangers have files of
 * their own, so that whoever floods the network with made-up addresses pushes no node's history out.
 */
import type { Logger } from 'pino';
import type { RecordedEvent } from './event.ts';
import { EventFiles } from './event-files.ts';
import { Tally } from './tally.ts';

export interface JournalOptions {
  dir: string;
  log: Logger;
  /** By default room for about 80,000 events of nodes (2000 boots) and 10,000 of strangers: 18 MiB. */
  limits?: Partial<JournalLimits>;
}

export interface JournalLimits {
  fileBytes: number;
  nodeFiles: number;
  strangerFiles: number;
  /** Events of strangers taken a second, all together; twice that at once. */
  strangerRate: number;
}

const LIMITS: JournalLimits = {
  fileBytes: 4 * 1024 * 1024,
  nodeFiles: 4,
  strangerFiles: 2,
  strangerRate: 250,
};

/** How the problem of a journal that cannot be written begins. */
export const UNWRITTEN = 'boot journal not written';

export class Journal {
  readonly #nodes: EventFiles;
  readonly #strangers: EventFiles;
  readonly #tally: Tally;
  readonly #rate: number;
  /** Events of strangers that may come at once, as of `#at`. */
  #allowance: number;
  #at = 0;

  /** Opens the files in `dir`. Throws the system's error where it cannot. */
  constructor({ dir, log, limits = {} }: JournalOptions) {
    const { fileBytes, nodeFiles, strangerFiles, strangerRate } = { ...LIMITS, ...limits };
    this.#tally = new Tally(log);
    this.#rate = strangerRate;
    this.#allowance = 2 * strangerRate;
    const failed = (error: Error) =>
      this.#tally.notice('failed.write', { err: error }, `${UNWRITTEN}; further ones are counted`);
    this.#nodes = new EventFiles({ dir, name: 'nodes', fileBytes, files: nodeFiles, failed });
    this.#strangers = new EventFiles({
      ...{ dir, name: 'strangers', files: strangerFiles, failed },
      fileBytes: fileBytes / 4,
    });
  }

  /** Counts since the start: `failed.write`, `dropped.stranger-flood`. */
  stats(): Record<string, number> {
    return this.#tally.stats();
  }

  /** That the last write failed, in a sentence; none where it did not. */
  problems(): string[] {
    const failure = this.#nodes.failure ?? this.#strangers.failure;
    return failure === undefined ? [] : [`${UNWRITTEN}, and what came is missing in it: ${failure.message}`];
  }

  /** Keeps an event. Those that say nothing of whom they are about are not kept. */
  take(event: RecordedEvent): void {
    const who = event.mac ?? event.address;
    if (event.node !== undefined) this.#nodes.append(event.node, event);
    else if (who === undefined) return;
    else if (this.#mayTake(event.at)) this.#strangers.append(who, event);
    else
      this.#tally.notice('dropped.stranger-flood', { who }, 'too many events of strangers to keep them all');
  }

  /** What is known of all names in `who`: a node's, MACs, addresses. Oldest first. Rejects with BusyError. */
  async events(who: { node?: string; strangers: readonly string[] }): Promise<RecordedEvent[]> {
    const lists = await Promise.all([
      who.node === undefined ? [] : this.#nodes.read(who.node),
      ...who.strangers.map((name) => this.#strangers.read(name)),
    ]);
    return lists.flat().sort((a, b) => a.at - b.at);
  }

  async close(): Promise<void> {
    await this.#nodes.close();
    await this.#strangers.close();
  }

  #mayTake(now: number): boolean {
    const earned = (Math.max(0, now - this.#at) / 1000) * this.#rate;
    this.#allowance = Math.min(2 * this.#rate, this.#allowance + earned);
    this.#at = now;
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }
}
