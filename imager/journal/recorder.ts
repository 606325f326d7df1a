/**
 * Takes the events of all servers, puts the node's name (a stranger's MAC) to each, and hands them on: to the journal,
 * to whoever watches, and the latest to whoever asks.
 */
import type { Logger } from 'pino';
import { AddressOwners, type Owner } from './address-owners.ts';
import type { BootEvent, EventSink, RecordedEvent } from './event.ts';
import type { Journal } from './journal.ts';

/** How a node is found by what servers know of it. */
export interface NodeNames {
  byName(name: string): { name: string; mac?: string } | undefined;
  byMac(mac: string): { name: string; mac?: string } | undefined;
  byAddress(address: string): { name: string; mac?: string } | undefined;
}

/** Whose an address is by the leases, also those of before this process began. */
export type LesseeOf = (address: string) => Owner | undefined;

/** Whom a name means: a node's name, a MAC, an address. */
export interface Whom {
  node?: string;
  /** MACs and addresses its events may be under. */
  strangers: string[];
}

export interface EventQuery {
  node?: string;
  /** Only events at this time or later: milliseconds since the epoch. */
  since?: number;
  /** Only events with a larger id. */
  after?: number;
}

const CAPACITY = 20_000;
const MAC = /^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i;
/** A node's own script, in whatever folder. */
const BY_MAC = /(?:^|\/)([0-9a-f]{2}(?:[:-][0-9a-f]{2}){5})\/boot\.ipxe$/i;
const ADDRESS = /^\d{1,3}(?:\.\d{1,3}){3}$/;

export class Recorder {
  readonly #names: NodeNames;
  readonly #log: Logger;
  readonly #capacity: number;
  readonly #events: RecordedEvent[] = [];
  readonly #journal: Journal | undefined;
  readonly #lesseeOf: LesseeOf;
  /** Who has a pool address. */
  readonly #owners = new AddressOwners();
  /** Whose script was asked for from which address: kept apart, so that a claim never moves what DHCP told. */
  readonly #claims = new AddressOwners();
  readonly #watchers = new Set<(event: RecordedEvent) => void>();
  #last = 0;

  /** Without a journal events are kept until this process ends. */
  constructor(options: {
    names: NodeNames;
    log: Logger;
    capacity?: number;
    journal?: Journal;
    lesseeOf?: LesseeOf;
  }) {
    this.#names = options.names;
    this.#log = options.log;
    this.#capacity = options.capacity ?? CAPACITY;
    this.#journal = options.journal;
    this.#lesseeOf = options.lesseeOf ?? (() => undefined);
  }

  /** What the servers are given. */
  readonly sink: EventSink = (event) => {
    const recorded: RecordedEvent = { id: ++this.#last, ...event, ...this.#ownerOf(event) };
    this.#learn(recorded);
    this.#events[(recorded.id - 1) % this.#capacity] = recorded;
    this.#journal?.take(recorded);
    for (const watcher of this.#watchers) watcher(recorded);
    this.#log.debug(recorded, `${recorded.component} ${recorded.step}`);
  };

  /** Calls `listener`, which must not throw, with each event to come. Gives what ends that. */
  watch(listener: (event: RecordedEvent) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** Whom `name` means; undefined where it is neither a node's name nor a MAC nor an address. */
  whom(name: string): Whom | undefined {
    const node = this.#names.byName(name);
    if (node !== undefined) return { node: node.name, strangers: node.mac === undefined ? [] : [node.mac] };
    const isMac = MAC.test(name);
    if (!isMac && !ADDRESS.test(name)) return undefined;
    const plain = name.toLowerCase().replaceAll('-', ':');
    const owner = isMac ? this.#names.byMac(plain) : this.#names.byAddress(plain);
    const learnt = isMac ? undefined : (this.#holderOf(plain) ?? this.#claims.of(plain));
    const known = owner?.name ?? learnt?.node;
    const strangers = learnt?.mac === undefined ? [plain] : [plain, learnt.mac];
    return known === undefined ? { strangers } : { node: known, strangers };
  }

  /** What the journal knows of `whom`, oldest first. Rejects with BusyError where too many ask at once. */
  async history(whom: Whom): Promise<RecordedEvent[]> {
    if (this.#journal !== undefined) return this.#journal.events(whom);
    return this.events().filter((event) => isAbout(event, whom));
  }

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

  /** The address of a DHCP event is one that somebody asks for: it says nothing of who asks. */
  #ownerOf(event: BootEvent): { node?: string; mac?: string } {
    const { component, mac, address } = event;
    if (event.node !== undefined) return {};
    const byMac = mac === undefined ? undefined : this.#names.byMac(mac)?.name;
    if (byMac !== undefined) return { node: byMac };
    if (address === undefined || component === 'dhcp') return {};
    const reserved = this.#names.byAddress(address)?.name;
    if (reserved !== undefined) return { node: reserved };
    return this.#holderOf(address) ?? this.#ownerByScript(event, address) ?? {};
  }

  /** What DHCP told since this process began comes first: leases do not tell who beside another server has what. */
  #holderOf(address: string): Owner | undefined {
    return this.#owners.of(address) ?? this.#lesseeOf(address);
  }

  /**
   * Where another server gives the addresses, iPXE says who it is in the name of the script it asks for
   * (menus/builtin.ts). Only nodes are found so, and only where DHCP told nothing: anybody can ask for any name.
   */
  #ownerByScript({ at, detail }: BootEvent, address: string): Owner | undefined {
    const [, mac] = BY_MAC.exec(String(detail?.file ?? '')) ?? [];
    const node =
      mac === undefined ? undefined : this.#names.byMac(mac.toLowerCase().replaceAll('-', ':'))?.name;
    if (node !== undefined) this.#claims.set(address, { node }, { at });
    return this.#claims.of(address);
  }

  /**
   * An address is whose it was given to last, until that gives it back or finds it in use. Beside another DHCP server, which gives
   * the addresses, it is whose it was asked for there. Who asks for the options alone (INFORM) is given none, whatever address it
   * says it has.
   */
  #learn({ at, component, step, reason, node, mac, address, detail }: RecordedEvent): void {
    if (component !== 'dhcp' || address === undefined) return;
    const owner: Owner = {
      ...(node === undefined ? {} : { node }),
      ...(mac === undefined ? {} : { mac }),
    };
    const seconds = detail?.seconds;
    if (step === 'ack' && reason === undefined && typeof seconds === 'number')
      this.#owners.set(address, owner, { at, ends: at + seconds * 1000 });
    else if ((step === 'release' || step === 'decline') && reason === undefined) this.#owners.delete(address);
    else if (step === 'request' && reason === 'other-server' && this.#names.byAddress(address) === undefined)
      this.#owners.set(address, owner, { at });
  }
}

/** Whether an event is one of `whom`'s. */
export function isAbout({ node, mac, address }: BootEvent, whom: Whom): boolean {
  if (node !== undefined) return node === whom.node;
  return whom.strangers.includes(mac ?? address ?? '');
}
