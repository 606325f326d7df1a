/** The snapshot decisions are made from, and who a message comes from. */
import type { DhcpMessage } from './codec.ts';
import type { DhcpConfig, Reservation, Reservations } from './config.ts';
import { isActive, type LeaseBook } from './lease.ts';
import type { Networks } from './networks.ts';
import type { ClientOptions, Identity } from './options/client.ts';

export interface World {
  config: DhcpConfig;
  networks: Networks;
  reservations: Reservations;
  leases: LeaseBook;
  /** Milliseconds since the epoch. */
  now: number;
  /** True while somebody is connected to the imager from `address`. */
  inUse(address: string): boolean;
  /** What asking at `address` came to lately: somebody answered or nobody did. Undefined: not asked. */
  probed(address: string): 'answers' | 'silent' | undefined;
}

/** The sender of a message. */
export interface Client {
  /** What its lease is kept under: see clientKey. */
  key: string;
  mac: string;
  uid: string | undefined;
  reservation: Reservation | undefined;
}

/**
 * Finds out who sent a message. What stays with the board goes before what can be exchanged, and that before where it
 * happens to be attached: UID (option 97), MAC, client identifier (option 61), relay circuit (option 82). A client
 * that sends nothing of this that is known (an operating system after the firmware) is still the node whose active
 * lease its MAC has.
 */
export function identify(message: DhcpMessage, options: ClientOptions, world: World): Client {
  const { mac } = message;
  const reservation = reservationOf(mac, options, world);
  return { key: clientKey(reservation, options, mac), mac, uid: options.uid, reservation };
}

/** The node that sent a message, as above. */
export function reservationOf(
  mac: string,
  { uid, clientIdentifier, relay }: Identity,
  world: World,
): Reservation | undefined {
  const { reservations } = world;
  return (
    (uid === undefined ? undefined : reservations.byUid(uid)) ??
    reservations.byMac(mac) ??
    (clientIdentifier === undefined ? undefined : byClientId(clientIdentifier, reservations)) ??
    (relay.circuit === undefined ? undefined : reservations.byCircuit(relay.circuit)) ??
    learned(mac, world)
  );
}

/** Some clients put the type byte 0 of RFC 2132 section 9.14 in front of a text identifier, others do not. */
function byClientId(identifier: string, reservations: Reservations): Reservation | undefined {
  return (
    reservations.byClientId(identifier) ??
    (identifier.startsWith('00') ? reservations.byClientId(identifier.slice(2)) : undefined)
  );
}

function learned(mac: string, world: World): Reservation | undefined {
  const lease = world.leases.ofNodeAt(mac);
  if (lease?.node === undefined || !isActive(lease, world.now)) return undefined;
  // An adapter's that was a client of its own: the node's lease is another, whatever the configuration says by now.
  if (lease.client === adapterKey(lease.node, mac)) return undefined;
  const reservation = world.reservations.byNode(lease.node, mac);
  return (reservation?.address ?? lease.address) === lease.address ? reservation : undefined;
}

/**
 * The node, since one board calls itself differently from one stage of its boot to the next, and beside it each adapter
 * that has an address of its own; for others as RFC 2131 section 4.2 says the client identifier where there is one, else
 * the hardware address. An identifier that is the hardware address (type 1, RFC 2132 section 9.14) makes no other client
 * of it.
 */
function clientKey(
  reservation: Reservation | undefined,
  { clientIdentifier }: ClientOptions,
  mac: string,
): string {
  if (reservation !== undefined) {
    const { node, adapter } = reservation;
    return adapter === undefined ? `node:${node}` : adapterKey(node, adapter);
  }
  return clientIdentifier === undefined || isHardwareAddress(clientIdentifier, mac)
    ? `mac:${mac}`
    : `id:${clientIdentifier}`;
}

function adapterKey(node: string, mac: string): string {
  return `node:${node}/${mac}`;
}

/** Digit by digit: nearly every client sends one, and no text is made for it. */
function isHardwareAddress(identifier: string, mac: string): boolean {
  if (identifier.length !== 14 || !identifier.startsWith('01')) return false;
  for (let i = 0; i < 6; i++)
    for (let digit = 0; digit < 2; digit++)
      if (identifier.charCodeAt(2 + 2 * i + digit) !== mac.charCodeAt(3 * i + digit)) return false;
  return true;
}
