/**
 * Whether somebody uses an address: asked before it is offered (RFC 2131 section 2.2), remembered for a while.
 *
 * Node opens no raw sockets, so `ping` asks, a child process of a second at most; iputils and busybox have it, and it
 * crosses routers to subnets behind relay agents. Who answers no ping still has to answer ARP: an entry of the kernel's
 * ARP table that the ping has made (one that was there before may be a former holder's) is an answer too.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../journal/clock.ts';

/** How long silence counts: as long as the offer that follows. */
const SILENT_MS = 30_000;
/** How long an answer counts, as a DECLINE does. */
const ANSWERS_MS = 600_000;
/** Child processes at a time. Beyond that addresses are offered unasked: a storm must not wait in a queue. */
const MAX_RUNNING = 16;

/** Whether somebody answers at `address`. Rejects where it cannot be found out. */
export type Ask = (address: string) => Promise<boolean>;

export class Probes {
  readonly #ask: Ask;
  readonly #clock: Clock;
  readonly #failed: (error: Error) => void;
  readonly #running = new Set<string>();
  /** In the order of their ends, but for answers among silences. */
  readonly #results = new Map<string, { answers: boolean; until: number }>();

  /** `failed` hears of each question that could not be asked; the address then counts as silent. */
  constructor(ask: Ask, clock: Clock, failed: (error: Error) => void) {
    this.#ask = ask;
    this.#clock = clock;
    this.#failed = failed;
  }

  /** What was found out lately. Of more addresses than can be asked after at once, the others count as silent. */
  result(address: string): 'answers' | 'silent' | undefined {
    const result = this.#results.get(address);
    if (result !== undefined && result.until > this.#clock.now())
      return result.answers ? 'answers' : 'silent';
    return this.#running.size >= MAX_RUNNING && !this.#running.has(address) ? 'silent' : undefined;
  }

  /** Asks; resolves when result() has the answer. Undefined where the question is under way already. */
  ask(address: string): Promise<void> | undefined {
    if (this.#running.has(address)) return undefined;
    this.#running.add(address);
    return this.#find(address);
  }

  async #find(address: string): Promise<void> {
    let answers = false;
    try {
      answers = await this.#ask(address);
    } catch (error) {
      this.#failed(error as Error);
    }
    this.#running.delete(address);
    const now = this.#clock.now();
    for (const [each, { until }] of this.#results) if (until <= now) this.#results.delete(each);
    this.#results.set(address, { answers, until: now + (answers ? ANSWERS_MS : SILENT_MS) });
  }
}

const ARP_TABLE = '/proc/net/arp';
/** Flag ATF_COM of the third column: the entry is complete (linux/if_arp.h). */
const COMPLETE = 0x2;

/** Asks with ping and ARP. */
export async function askOnWire(address: string): Promise<boolean> {
  const before = await inArpTable(address);
  const answered = await ping(address);
  return answered || (!before && (await inArpTable(address)));
}

function ping(address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile('ping', ['-n', '-c', '1', '-W', '1', address], { timeout: 3000 }, (error) => {
      if (error === null) resolve(true);
      else if (typeof error.code === 'string') reject(error);
      else resolve(false);
    });
  });
}

async function inArpTable(address: string): Promise<boolean> {
  const table = await readFile(ARP_TABLE, 'utf8');
  return table.split('\n').some((line) => {
    const [ip, , flags] = line.split(/\s+/);
    return ip === address && (Number(flags) & COMPLETE) !== 0;
  });
}
