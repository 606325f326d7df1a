/** The snapshot decisions are made from, and who a message comes from. */
import type { DhcpMessage } from './codec.ts';
import type { DhcpConfig, Network, Reservation, Reservations } from './config.ts';
import { isActive, type LeaseBook } from './lease.ts';
import type { ClientOptions } from './options/client.ts';

export interface World {
  config: DhcpConfig;
  network: Network;
  reservations: Reservations;
  leases: LeaseBook;
  /** Milliseconds since the epoch. */
  now: number;
  /** True while somebody is connected to the imager from `address`. */
  inUse(address: string): boolean;
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
 * Finds out who sent a message. A reservation by UID wins over one by MAC: adapters are exchanged, boards stay. A
 * client that sends no UID (an operating system after the firmware) is still the node whose active lease its MAC has.
 */
export function identify(message: DhcpMessage, options: ClientOptions, world: World): Client {
  const { mac } = message;
  const { uid } = options;
  const { reservations } = world;
  const reservation =
    (uid === undefined ? undefined : reservations.byUid(uid)) ??
    reservations.byMac(mac) ??
    learned(mac, world);
  return { key: clientKey(reservation, options, mac), mac, uid, reservation };
}

function learned(mac: string, world: World): Reservation | undefined {
  const lease = world.leases.byMac(mac);
  if (lease?.node === undefined || !isActive(lease, world.now)) return undefined;
  const reservation = world.reservations.byNode(lease.node);
  return (reservation?.address ?? lease.address) === lease.address ? reservation : undefined;
}

/**
 * The node, since one board calls itself differently from one stage of its boot to the next; for others as RFC 2131
 * section 4.2 says the client identifier where there is one, else the hardware address. An identifier that is the
 * hardware address (type 1, RFC 2132 section 9.14) makes no other client of it.
 */
function clientKey(
  reservation: Reservation | undefined,
  { clientIdentifier }: ClientOptions,
  mac: string,
): string {
  if (reservation !== undefined) return `node:${reservation.node}`;
  return clientIdentifier === undefined || clientIdentifier === `01${mac.replaceAll(':', '')}`
    ? `mac:${mac}`
    : `id:${clientIdentifier}`;
}
