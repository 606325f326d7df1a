/** Which address a client gets, and why it may not have one. Pure. */
import { addressText } from './ipv4.ts';
import { isActive, type Lease, OFFER_MS } from './lease.ts';
import { isHostOf, isInPool, type Subnet } from './networks.ts';
import type { Client, World } from './world.ts';

/** Why `address` is not for this client. */
export type AddressFault =
  | 'wrong-network'
  | 'wrong-address'
  | 'reserved-for-other'
  | 'not-in-pool'
  | 'address-declined'
  | 'leased-to-other'
  | 'offered-to-other'
  /** Somebody answered there who has no lease of it. */
  | 'address-answers'
  /** Somebody is connected from it whose lease ran out: kernel and agent keep an address without renewing it. */
  | 'address-in-use';

/** Why a client gets no address at all. */
export type AllocationFault =
  | AddressFault
  | 'unknown-client'
  | 'pool-exhausted'
  /** A node in another network than its own address: cabled wrongly, or the address is wrong. */
  | 'reserved-elsewhere';

/** Undefined where `client` may have `address` of `subnet` now. */
export function addressFault(
  address: string,
  client: Client,
  subnet: Subnet,
  world: World,
): AddressFault | undefined {
  return (
    bookFault(address, client, subnet, world) ??
    (isOthersInUse(address, client, world) ? 'address-in-use' : undefined)
  );
}

/** What configuration, leases, offers and probes say against it. */
function bookFault(
  address: string,
  client: Client,
  subnet: Subnet,
  { reservations, leases, now, probed }: World,
): AddressFault | undefined {
  if (!isHostOf(subnet, address)) return 'wrong-network';
  const reserved = client.reservation?.address;
  if (reserved !== undefined) {
    if (reserved !== address) return 'wrong-address';
  } else {
    if (reservations.byAddress(address) !== undefined) return 'reserved-for-other';
    if (!isInPool(subnet, address)) return 'not-in-pool';
  }
  const lease = leases.byAddress(address);
  const isHeld = lease !== undefined && isHolder(lease, client);
  if (lease !== undefined && isActive(lease, now)) {
    if (lease.state === 'declined') return 'address-declined';
    if (!isHeld) return 'leased-to-other';
  }
  const offer = leases.offerOf(address, now);
  if (offer !== undefined && offer.client !== client.key && !offer.contested) return 'offered-to-other';
  return reserved === undefined && !isHeld && probed(address) === 'answers' ? 'address-answers' : undefined;
}

function isOthersInUse(address: string, client: Client, world: World): boolean {
  if (client.reservation?.address === address || !world.inUse(address)) return false;
  const lease = world.leases.byAddress(address);
  return lease === undefined || !isHolder(lease, client);
}

/** A node that was known by its MAC or client identifier alone before it had a reservation keeps its address. */
function isHolder(lease: Lease, client: Client): boolean {
  return lease.client === client.key || (client.reservation !== undefined && lease.mac === client.mac);
}

/**
 * The address of `subnet` for `client`: its reservation; else, as RFC 2131 section 4.3.1 orders them, its present
 * address, what it was offered, its previous address, the one it asks for, a fresh one; then the one unused for longest;
 * last one that is only offered to somebody else.
 */
export function allocate(
  client: Client,
  requested: string | undefined,
  subnet: Subnet,
  world: World,
): { address: string } | { fault: AllocationFault } {
  const address = client.reservation?.address;
  if (address !== undefined) {
    if (!isHostOf(subnet, address)) return { fault: 'reserved-elsewhere' };
    const fault = addressFault(address, client, subnet, world);
    return fault === undefined ? { address } : { fault };
  }
  if (subnet.pool().length === 0) return { fault: 'unknown-client' };
  const faultOf = (each: string) => addressFault(each, client, subnet, world);
  const isGood = (each: string | undefined): each is string =>
    each !== undefined && faultOf(each) === undefined;
  // One after the other, since the first is mostly good.
  const had = world.leases.byClient(client.key)?.address;
  if (isGood(had)) return { address: had };
  const offered = world.leases.offerTo(client.key, world.now)?.address;
  if (isGood(offered)) return { address: offered };
  if (isGood(requested)) return { address: requested };
  const likely = usual(client, subnet, world);
  if (isGood(likely)) return { address: likely };
  // Free ones first; then what is only offered, the oldest offer first: most of those were to clients that never come
  // back, all of them in a flood of invented ones. Who requests it first has it (see Offer).
  for (const candidate of world.leases.unused(subnet, world.now + OFFER_MS)) {
    const fault = faultOf(candidate);
    if (fault === undefined || fault === 'offered-to-other') return { address: candidate };
  }
  return { fault: 'pool-exhausted' };
}

/** Where the MAC's hash points, so that a client tends to get the same address even without a lease; never leased yet. */
function usual(client: Client, subnet: Subnet, { leases }: World): string | undefined {
  const pool = subnet.pool();
  const address = addressText(pool[hash(client.mac) % pool.length]!);
  return leases.byAddress(address) === undefined ? address : undefined;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}
