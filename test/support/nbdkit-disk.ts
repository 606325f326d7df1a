/** A node's disk served by nbdkit where the imager would, and how often a boot waits for it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InsideProcess } from '../../firmware-stubs/rig/inside.ts';
import type { Cluster } from './cluster.ts';

/** To be named before the imager's in the node's pointer: nothing else answers there. */
export const NBDKIT = '10.77.0.2';
/** Each read takes so long, so that those asked for together overlap: longer than a guest takes to send what it has. */
const READ_MS = 50;

export class NbdkitDisk {
  readonly #log: string;
  readonly #process: InsideProcess;

  private constructor(log: string, process: InsideProcess) {
    this.#log = log;
    this.#process = process;
  }

  /** Serves a copy-on-write view of the base image "web", whatever name it is asked for by. */
  static async start({ lab, dir }: Cluster): Promise<NbdkitDisk> {
    const log = join(dir, 'nbdkit.log');
    await lab.space.check(['ip', 'address', 'add', `${NBDKIT}/24`, 'dev', 'br0']);
    const child = lab.space.spawn([
      ...['nbdkit', '--foreground', `--ipaddr=${NBDKIT}`],
      ...['--filter=log', '--filter=delay', '--filter=cow'],
      ...['file', join(dir, 'state/bases/web.img'), `logfile=${log}`, `rdelay=${READ_MS}ms`],
    ]);
    child.stderr?.resume();
    return new NbdkitDisk(log, new InsideProcess(child));
  }

  /** What the last boot has read until now. */
  counts(): { reads: number; roundTrips: number } {
    return countReads(readFileSync(this.#log, 'utf8'));
  }

  /** SIGKILL: asked to end it would wait for a node that is gone without a word. */
  async end(): Promise<void> {
    await this.#process.end('SIGKILL');
  }
}

/**
 * The reads of the last connection in a log of nbdkit's log filter, and their round trips, which are fewer: a read that was
 * asked for before the first one of its round trip was answered is none of its own.
 */
export function countReads(log: string): { reads: number; roundTrips: number } {
  const lines = [...log.matchAll(/ connection=(\d+) (?:Read id=(\d+) offset=|\.\.\.Read id=(\d+) return=)/g)];
  const last = lines.at(-1)?.[1];
  let reads = 0;
  let roundTrips = 0;
  let together = new Set<string>();
  let answered = true;
  for (const [, connection, begun, ended] of lines) {
    if (connection !== last) continue;
    if (begun === undefined) answered ||= together.has(ended!);
    else {
      reads++;
      if (answered) {
        roundTrips++;
        together = new Set();
        answered = false;
      }
      together.add(begun);
    }
  }
  return { reads, roundTrips };
}
