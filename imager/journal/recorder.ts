/**
 * Takes the events of all servers, puts the node's name to each, and keeps the latest for whoever asks:
 * the read API, the metrics.
 */
import type { Logger } from 'pino';
import type { BootEvent, EventSink } from './event.ts';

export interface RecordedEvent extends BootEvent {
  /** Counts events from 1 since this imager started. */
  id: number;
}

/** How a node is found by what servers know of it. */
export interface NodeNames {
  byMac(mac: string): { name: string } | undefined;
  byAddress(address: string): { name: string } | undefined;
}

export interface EventQuery {
  node?: string;
  /** Only events at this time or later: milliseconds since the epoch. */
  since?: number;
  /** Only events with a larger id. */
  after?: number;
}

export interface EventCount {
  component: string;
  step: string;
  reason: string;
  count: number;
}

const CAPACITY = 20_000;
/** Names of steps come from nodes as well: past this many kinds, the rest is counted together. */
const MAX_KINDS = 2000;

export class Recorder {
  readonly #names: NodeNames;
  readonly #log: Logger;
  readonly #capacity: number;
  readonly #events: RecordedEvent[] = [];
  readonly #counts = new Map<string, EventCount>();
  /** Node by pool address, learnt from events that carry both. One address a node. */
  readonly #learnt = new Map<string, string>();
  #last = 0;

  constructor(options: { names: NodeNames; log: Logger; capacity?: number }) {
    this.#names = options.names;
    this.#log = options.log;
    this.#capacity = options.capacity ?? CAPACITY;
  }

  /** What the servers are given. */
  readonly sink: EventSink = (event) => {
    const node = event.node ?? this.#nameOf(event);
    const recorded: RecordedEvent = { id: ++this.#last, ...event, ...(node === undefined ? {} : { node }) };
    if (event.component === 'dhcp' && event.step === 'ack') this.#learn(node, event);
    this.#events[(recorded.id - 1) % this.#capacity] = recorded;
    this.#count(recorded);
    this.#log.debug(recorded, `${recorded.component} ${recorded.step}`);
  };

  /** Events kept, oldest first. */
  events(query: EventQuery = {}): RecordedEvent[] {
    const { node, since = 0, after = 0 } = query;
    const found: RecordedEvent[] = [];
    const first = Math.max(after, this.#last - this.#capacity, 0) + 1;
    for (let id = first; id <= this.#last; id++) {
      const event = this.#events[(id - 1) % this.#capacity];
      if (event === undefined || event.at < since) continue;
      if (node === undefined || event.node === node) found.push(event);
    }
    return found;
  }

  /** How many events of each kind there were, those no longer kept included. */
  counts(): EventCount[] {
    return [...this.#counts.values()];
  }

  /** The address of a DHCP event is one that somebody asks for: it says nothing of who asks. */
  #nameOf({ component, mac, address }: BootEvent): string | undefined {
    const byMac = mac === undefined ? undefined : this.#names.byMac(mac)?.name;
    if (byMac !== undefined || address === undefined || component === 'dhcp') return byMac;
    return this.#names.byAddress(address)?.name ?? this.#learnt.get(address);
  }

  #learn(node: string | undefined, { address }: BootEvent): void {
    if (address === undefined || this.#learnt.get(address) === node) return;
    if (node === undefined) {
      this.#learnt.delete(address);
      return;
    }
    for (const [old, owner] of this.#learnt) if (owner === node) this.#learnt.delete(old);
    this.#learnt.set(address, node);
  }

  #count({ component, step, reason = '' }: BootEvent): void {
    let kind: EventCount = { component, step, reason, count: 0 };
    if (!this.#counts.has(keyOf(kind)) && this.#counts.size >= MAX_KINDS)
      kind = { component, step: 'other', reason: '', count: 0 };
    const counted = this.#counts.get(keyOf(kind)) ?? kind;
    counted.count++;
    this.#counts.set(keyOf(kind), counted);
  }
}

function keyOf({ component, step, reason }: EventCount): string {
  return JSON.stringify([component, step, reason]);
}
