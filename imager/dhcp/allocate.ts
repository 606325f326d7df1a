/** Which address a client gets, and why it may not have one. Pure. */

import { ipv4ToNumber, numberToIpv4 } from '../../agent/protocol/ipv4.ts';
import { isHostOf } from './config.ts';
import { isActive, type Lease } from './lease.ts';
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
  /** Somebody is connected from it whose lease ran out: kernel and agent keep an address without renewing it. */
  | 'address-in-use';

/** Why a client gets no address at all. */
export type AllocationFault = AddressFault | 'unknown-client' | 'pool-exhausted';

/** Undefined where `client` may have `address` now. */
export function addressFault(address: string, client: Client, world: World): AddressFault | undefined {
  return (
    bookFault(address, client, world) ??
    (isOthersInUse(address, client, world) ? 'address-in-use' : undefined)
  );
}

/** What leases, offers and configuration say against it. */
function bookFault(address: string, client: Client, world: World): AddressFault | undefined {
  const { network, reservations, leases, now } = world;
  if (!isHostOf(network, address)) return 'wrong-network';
  const reserved = client.reservation?.address;
  if (reserved !== undefined) {
    if (reserved !== address) return 'wrong-address';
  } else {
    if (reservations.byAddress(address) !== undefined) return 'reserved-for-other';
    if (!isInPool(address, world)) return 'not-in-pool';
  }
  const lease = leases.byAddress(address);
  if (lease !== undefined && isActive(lease, now)) {
    if (lease.state === 'declined') return 'address-declined';
    if (!isHolder(lease, client)) return 'leased-to-other';
  }
  const offer = leases.offerOf(address, now);
  if (offer !== undefined && offer.client !== client.key) return 'offered-to-other';
  return undefined;
}

function isOthersInUse(address: string, client: Client, world: World): boolean {
  if (client.reservation?.address === address) return false;
  const lease = world.leases.byAddress(address);
  return (lease === undefined || !isHolder(lease, client)) && world.inUse(address);
}

function isInPool(address: string, { network }: World): boolean {
  const number = ipv4ToNumber(address);
  const { pool, taken } = network;
  return pool !== undefined && pool.from <= number && number <= pool.to && !taken.has(address);
}

/** A node that was known by its MAC or client identifier alone before it had a reservation keeps its address. */
function isHolder(lease: Lease, client: Client): boolean {
  return lease.client === client.key || (client.reservation !== undefined && lease.mac === client.mac);
}

/**
 * The address for `client`: its reservation; else, as RFC 2131 section 4.3.1 orders them, its present address, what
 * it was offered, its previous address, the one it asks for, a fresh one; last the one unused for longest.
 */
export function allocate(
  client: Client,
  requested: string | undefined,
  world: World,
): { address: string } | { fault: AllocationFault } {
  const address = client.reservation?.address;
  if (address !== undefined) {
    const fault = addressFault(address, client, world);
    return fault === undefined ? { address } : { fault };
  }
  if (world.network.pool === undefined) return { fault: 'unknown-client' };
  const candidates = [
    world.leases.byClient(client.key)?.address,
    world.leases.offerTo(client.key, world.now)?.address,
    requested,
  ];
  const found =
    candidates.find((each) => each !== undefined && addressFault(each, client, world) === undefined) ??
    scanPool(world.network.pool, client, world);
  return found === undefined ? { fault: 'pool-exhausted' } : { address: found };
}

/** Starts where the MAC's hash points, so that a client tends to get the same address even without a lease. */
function scanPool(pool: { from: number; to: number }, client: Client, world: World): string | undefined {
  const size = pool.to - pool.from + 1;
  const start = hash(client.mac) % size;
  const expired: Lease[] = [];
  for (let i = 0; i < size; i++) {
    const address = numberToIpv4(pool.from + ((start + i) % size));
    if (bookFault(address, client, world) !== undefined) continue;
    const lease = world.leases.byAddress(address);
    if (lease !== undefined) expired.push(lease);
    else if (!isOthersInUse(address, client, world)) return address;
  }
  expired.sort((a, b) => a.expires - b.expires);
  return expired.find((lease) => !isOthersInUse(lease.address, client, world))?.address;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value;
}
