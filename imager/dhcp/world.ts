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
}

/** The sender of a message. */
export interface Client {
  /** What its lease is kept under: the node where it has a reservation, else option 61, else the MAC. */
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
  const reservation = world.reservations.byAddress(lease.address);
  return reservation?.node === lease.node ? reservation : undefined;
}

/** RFC 2131 section 4.2: the client identifier where there is one, else the hardware address. */
function clientKey(reservation: Reservation | undefined, options: ClientOptions, mac: string): string {
  if (reservation !== undefined) return `node:${reservation.node}`;
  return options.clientIdentifier === undefined ? `mac:${mac}` : `id:${options.clientIdentifier}`;
}
