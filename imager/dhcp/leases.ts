/** The leases of a server: durable in the registry, indexed in memory so that a decision never searches. */
import type { Change, Registry } from '../registry/registry.ts';
import { FreeAddresses } from './free-addresses.ts';
import {
  isActive,
  type Lease,
  type LeaseBook,
  type LeaseChange,
  type LeaseView,
  leaseFromValue,
  type Offer,
  type OfferChange,
} from './lease.ts';
import type { Subnet } from './networks.ts';

const PREFIX = ['lease'] as const;

/** Changes that become durable together. */
interface Batch {
  /** True until the transaction begins. */
  open: boolean;
  changes: LeaseChange[];
  durable: Promise<void>;
}

/** The lease of `address` as it is stored, for those who do not run the server. */
export function leaseAt(registry: Pick<Registry, 'get'>, address: string): Lease | undefined {
  return leaseFromValue(registry.get([...PREFIX, address]));
}

export class Leases implements LeaseBook {
  readonly #registry: Registry;
  readonly #byAddress = new Map<string, Lease>();
  readonly #byClient = new Map<string, Lease>();
  /** Of nodes alone, who are few beside all who come and go. */
  readonly #ofNodeAt = new Map<string, Lease>();
  /** Addresses put aside, by the MAC that declined them. */
  readonly #declined = new Map<string, Set<string>>();
  readonly #offerOf = new Map<string, Offer>();
  readonly #offerTo = new Map<string, Offer>();
  /** Commits under way for each address: until they are through, memory is ahead of the registry. */
  readonly #pending = new Map<string, number>();
  #last: Batch | undefined;
  /** The addresses of each pool by the time from which they are free. */
  readonly #free = new Map<Pick<Subnet, 'pool'>, FreeAddresses>();
  readonly #unwatch: () => void;
  readonly #unreadable: (address: string) => void;

  /** Loads what the registry holds. `unreadable` hears of each value that is no lease; its address counts as free. */
  constructor(registry: Registry, unreadable: (address: string) => void) {
    this.#registry = registry;
    this.#unreadable = unreadable;
    // Oldest first, so that the indexes by client and MAC end up with the latest.
    const entries = registry
      .range(PREFIX)
      .map(({ key, value }) => ({ key, lease: this.#read(key[1], value) }));
    entries.sort((a, b) => (a.lease?.start ?? 0) - (b.lease?.start ?? 0));
    for (const { lease } of entries) if (lease) this.#remember(lease);
    this.#unwatch = registry.watch(PREFIX, (change) => this.#follow(change));
  }

  byAddress(address: string): Lease | undefined {
    return this.#byAddress.get(address);
  }

  byClient(client: string): Lease | undefined {
    return this.#byClient.get(client);
  }

  ofNodeAt(mac: string): Lease | undefined {
    return this.#ofNodeAt.get(mac);
  }

  offerOf(address: string, now: number): Offer | undefined {
    const offer = this.#offerOf.get(address);
    return offer !== undefined && offer.expires > now ? offer : undefined;
  }

  offerTo(client: string, now: number): Offer | undefined {
    const offer = this.#offerTo.get(client);
    return offer !== undefined && offer.expires > now ? offer : undefined;
  }

  *unused(subnet: Pick<Subnet, 'pool'>, now: number): Generator<string> {
    let free = this.#free.get(subnet);
    if (free === undefined) {
      free = new FreeAddresses(subnet.pool(), (address) => this.#freeAt(address));
      this.#free.set(subnet, free);
    }
    yield* free.oldest(now);
  }

  declinedBy(mac: string, now: number): number {
    const declined = [...(this.#declined.get(mac) ?? [])];
    return declined.filter((address) => (this.#byAddress.get(address)?.expires ?? 0) > now).length;
  }

  /** All leases in the order of their addresses' text. */
  view(now: number): LeaseView[] {
    return [...this.#byAddress.values()]
      .map((lease) => ({ ...lease, active: isActive(lease, now) }))
      .sort((a, b) => (a.address < b.address ? -1 : 1));
  }

  /** Keeps or frees an offered address. There is one offer an address, so they stay as few as those. */
  offer(change: OfferChange): void {
    if (change.type === 'withdraw') {
      this.#withdraw(change.client);
      return;
    }
    const { address, client } = change.offer;
    const former = this.#offerTo.get(client);
    if (former !== undefined && former.address !== address) this.#withdraw(client);
    const contested = this.#offerOf.get(address);
    if (contested !== undefined && contested.client !== client) this.#withdraw(contested.client);
    this.#offerOf.set(address, change.offer);
    this.#offerTo.set(client, change.offer);
    this.#touch(address);
  }

  /**
   * Makes the changes count at once, for the decisions that follow, and resolves when they are durable. Where that
   * fails, memory goes back to what the registry holds and the promise rejects: do not acknowledge.
   * Changes that come before the registry turns to the last ones go along with them: however many clients ask while
   * the disk is busy, they share the next commit.
   */
  apply(changes: readonly LeaseChange[]): Promise<void> {
    for (const change of changes) {
      const address = addressOf(change);
      this.#pending.set(address, (this.#pending.get(address) ?? 0) + 1);
      this.#change(change);
    }
    if (this.#last?.open) this.#last.changes.push(...changes);
    else this.#last = this.#openBatch([...changes]);
    return this.#last.durable;
  }

  /** Waits for the changes under way. */
  async close(): Promise<void> {
    await this.#last?.durable.catch(() => {});
    this.#unwatch();
  }

  #withdraw(client: string): void {
    const offer = this.#offerTo.get(client);
    if (offer === undefined) return;
    this.#offerTo.delete(client);
    this.#offerOf.delete(offer.address);
    this.#touch(offer.address);
  }

  /** From when nobody has or is offered `address`: 0 where nobody ever was. */
  #freeAt(address: string): number {
    return Math.max(this.#byAddress.get(address)?.expires ?? 0, this.#offerOf.get(address)?.expires ?? 0);
  }

  #touch(address: string): void {
    for (const free of this.#free.values()) free.update(address, this.#freeAt(address));
  }

  #openBatch(changes: LeaseChange[]): Batch {
    const batch: Batch = { open: true, changes, durable: Promise.resolve() };
    batch.durable = this.#commit(batch);
    return batch;
  }

  async #commit(batch: Batch): Promise<void> {
    const { changes } = batch;
    try {
      await this.#registry.transact((tx) => {
        batch.open = false;
        for (const change of changes) {
          if (change.type === 'put') tx.put([...PREFIX, change.lease.address], change.lease);
          else tx.delete([...PREFIX, change.address]);
        }
      });
    } catch (error) {
      batch.open = false;
      for (const address of this.#settle(changes)) this.#reload(address);
      throw error;
    }
    this.#settle(changes);
  }

  /** Gives the addresses that no other commit is under way for: what it puts there is newer. */
  #settle(changes: readonly LeaseChange[]): string[] {
    const settled: string[] = [];
    for (const address of changes.map(addressOf)) {
      const left = this.#pending.get(address)! - 1;
      if (left > 0) this.#pending.set(address, left);
      else {
        this.#pending.delete(address);
        settled.push(address);
      }
    }
    return settled;
  }

  /** Takes over what others changed, e.g. an operator who removed a lease. Our own changes are in memory already. */
  #follow(change: Change): void {
    const address = change.key[1];
    if (address !== undefined && !this.#pending.has(address)) this.#reload(address);
  }

  #reload(address: string): void {
    const value = this.#registry.get([...PREFIX, address]);
    const lease = value === undefined ? undefined : this.#read(address, value);
    this.#change(lease === undefined ? { type: 'delete', address } : { type: 'put', lease });
  }

  #read(address: string | undefined, value: unknown): Lease | undefined {
    const lease = leaseFromValue(value);
    if (lease !== undefined && lease.address === address) return lease;
    this.#unreadable(address ?? '');
    return undefined;
  }

  #change(change: LeaseChange): void {
    const address = addressOf(change);
    const before = this.#byAddress.get(address);
    // One that is renewed is put where it was: to take it out of the indexes first costs as much again.
    if (before !== undefined && (change.type === 'delete' || !isRenewal(before, change.lease)))
      this.#forget(before);
    if (change.type === 'put') this.#remember(change.lease);
    this.#touch(address);
  }

  #remember(lease: Lease): void {
    this.#byAddress.set(lease.address, lease);
    this.#byClient.set(lease.client, lease);
    if (lease.node !== undefined) this.#ofNodeAt.set(lease.mac, lease);
    else this.#ofNodeAt.delete(lease.mac);
    if (lease.state === 'declined')
      this.#declined.set(lease.mac, (this.#declined.get(lease.mac) ?? new Set()).add(lease.address));
  }

  #forget(lease: Lease): void {
    this.#byAddress.delete(lease.address);
    if (this.#byClient.get(lease.client) === lease) this.#byClient.delete(lease.client);
    if (this.#ofNodeAt.get(lease.mac) === lease) this.#ofNodeAt.delete(lease.mac);
    const declined = this.#declined.get(lease.mac);
    if (declined?.delete(lease.address) && declined.size === 0) this.#declined.delete(lease.mac);
  }
}

/** Whether a lease is found in the same places as the one of the same address before it. */
function isRenewal(before: Lease, { client, mac }: Lease): boolean {
  return before.client === client && before.mac === mac && before.state !== 'declined';
}

function addressOf(change: LeaseChange): string {
  return change.type === 'put' ? change.lease.address : change.address;
}
