/** Leases and offers as values, and the changes a decision makes to them. */
import type { Subnet } from './networks.ts';

/**
 * `bound`: given to a client until it expires. `released`: given back; kept so that the client finds its address
 * again. `declined`: a client found somebody else using it; put aside until it expires.
 */
export type LeaseState = 'bound' | 'released' | 'declined';

/** One address, as kept in the registry under ['lease', address]. */
export interface Lease {
  address: string;
  /** Whose it is: see clientKey. */
  client: string;
  mac: string;
  state: LeaseState;
  /** Milliseconds since the epoch. */
  start: number;
  /** Milliseconds since the epoch. In the past: free for others, remembered for this client. */
  expires: number;
  node?: string;
  uid?: string;
  hostname?: string;
}

/** A lease as shown to people and programs. */
export interface LeaseView extends Lease {
  /** True where the address is bound or put aside now. */
  active: boolean;
}

/** How long an offered address waits for its REQUEST. */
export const OFFER_MS = 30_000;

/** An address offered and not yet requested. Kept in memory: a client that misses it simply asks again. */
export interface Offer {
  address: string;
  client: string;
  /** Milliseconds since the epoch. */
  expires: number;
  /** It was offered to another client before, whose time was not up: the first of them to request it has it. */
  contested?: boolean;
}

/** What a decision does about offers. */
export type OfferChange = { type: 'hold'; offer: Offer } | { type: 'withdraw'; client: string };

/** A durable change. */
export type LeaseChange = { type: 'put'; lease: Lease } | { type: 'delete'; address: string };

/** What decisions may look up. */
export interface LeaseBook {
  byAddress(address: string): Lease | undefined;
  /** The lease `client` holds or held last. */
  byClient(client: string): Lease | undefined;
  /** The lease last given to this MAC, where it was given to a node. */
  ofNodeAt(mac: string): Lease | undefined;
  /** The offer of `address` that has not expired at `now`. */
  offerOf(address: string, now: number): Offer | undefined;
  /** The offer made to `client` that has not expired at `now`. */
  offerTo(client: string, now: number): Offer | undefined;
  /** How many addresses are put aside because this MAC declined them. */
  declinedBy(mac: string, now: number): number;
  /** Addresses of the pool of `subnet` that nobody has or is offered, the one unused for longest first. */
  unused(subnet: Pick<Subnet, 'pool'>, now: number): Iterable<string>;
}

/** True while nobody else may have the lease's address. */
export function isActive(lease: Lease, now: number): boolean {
  return lease.state !== 'released' && lease.expires > now;
}

/** `value` as a lease, or undefined where it is none: the registry may hold what another version wrote. */
export function leaseFromValue(value: unknown): Lease | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const lease = value as Partial<Lease>;
  const wellFormed =
    typeof lease.address === 'string' &&
    typeof lease.client === 'string' &&
    typeof lease.mac === 'string' &&
    (lease.state === 'bound' || lease.state === 'released' || lease.state === 'declined') &&
    typeof lease.start === 'number' &&
    typeof lease.expires === 'number';
  return wellFormed ? (lease as Lease) : undefined;
}
