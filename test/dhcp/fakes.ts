/** Stores and messages for the tests of this room. */
import type { DhcpMessage } from '../../imager/dhcp/codec.ts';
import type { DhcpConfig, Reservation, Reservations } from '../../imager/dhcp/config.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import type { Decision } from '../../imager/dhcp/decision.ts';
import { addressToBytes } from '../../imager/dhcp/ipv4.ts';
import type { Lease } from '../../imager/dhcp/lease.ts';
import { Leases } from '../../imager/dhcp/leases.ts';
import { networksOf } from '../../imager/dhcp/networks.ts';
import { MESSAGE_TYPE, type MessageType, OPTION } from '../../imager/dhcp/options/codes.ts';
import type { World } from '../../imager/dhcp/world.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import type { Transaction } from '../../imager/registry/registry.ts';

export interface FixedReservation extends Reservation {
  mac?: string;
  uid?: string;
  /** Hexadecimal. */
  clientId?: string;
  /** Hexadecimal. */
  circuit?: string;
}

export function fixedReservations(list: readonly FixedReservation[]): Reservations {
  return {
    byMac: (mac) => list.find((entry) => entry.mac === mac),
    byUid: (uid) => list.find((entry) => entry.uid === uid),
    byClientId: (clientId) => list.find((entry) => entry.clientId === clientId),
    byCircuit: (circuit) => list.find((entry) => entry.circuit === circuit),
    byAddress: (address) => list.find((entry) => entry.address === address),
    byNode: (node) => list.find((entry) => entry.node === node),
  };
}

export const MAC = '52:54:00:00:00:01';
export const SERVER = '10.77.0.1';
export const OTHER_MAC = '52:54:00:00:00:02';
export const UID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
export const N1 = { node: 'n1', address: '10.77.0.11', hostname: 'one', mac: MAC };

/** A request as clients send them, with what matters to a test on top. */
export function request(
  type: MessageType,
  fields: Partial<Omit<DhcpMessage, 'options'>> = {},
  options: Record<number, Uint8Array> = {},
): DhcpMessage {
  return {
    op: 'request',
    hops: 0,
    xid: 0x12345678,
    secs: 0,
    broadcast: false,
    ciaddr: '0.0.0.0',
    yiaddr: '0.0.0.0',
    siaddr: '0.0.0.0',
    giaddr: '0.0.0.0',
    mac: MAC,
    serverName: '',
    file: '',
    ...fields,
    options: new Map<number, Uint8Array>([
      [OPTION.messageType, Uint8Array.of(MESSAGE_TYPE[type])],
      ...Object.entries(options).map(([code, value]) => [Number(code), value] as const),
    ]),
  };
}

export function text(value: string): Uint8Array {
  return Uint8Array.from(Buffer.from(value, 'latin1'));
}

/** Options 50 and 54 of a REQUEST. */
export function asking(address?: string, server?: string): Record<number, Uint8Array> {
  return {
    ...(address === undefined ? {} : { [OPTION.requestedAddress]: addressToBytes(address) }),
    ...(server === undefined ? {} : { [OPTION.serverIdentifier]: addressToBytes(server) }),
  };
}

/** Option 97 for a UUID in text form: its first three fields are stored little-endian. */
export function machineIdentifier(uuid: string): Uint8Array {
  const hex = uuid.replaceAll('-', '');
  const bytes = [...Buffer.from(hex, 'hex')];
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return Uint8Array.from([0, ...order.map((i) => bytes[i]!)]);
}

/** A world to decide in, at time 1,000,000 ms, with a pool of three addresses. */
export function world(
  options: {
    config?: Partial<DhcpConfig>;
    reservations?: FixedReservation[];
    now?: number;
    inUse?: readonly string[];
    /** What probes came to. */
    probed?: Record<string, 'answers' | 'silent'>;
  } = {},
): World & { leases: Leases } {
  const config: DhcpConfig = {
    serverAddress: SERVER,
    prefix: 24,
    router: SERVER,
    pools: [{ from: '10.77.0.100', to: '10.77.0.102' }],
    leaseSeconds: 3600,
    bootFile: () => undefined,
    ...options.config,
  };
  const reservations = fixedReservations(options.reservations ?? []);
  return {
    config,
    networks: networksOf(config, (address) => reservations.byAddress(address) !== undefined),
    reservations,
    leases: new Leases(new MemoryRegistry(), () => {}),
    now: options.now ?? 1_000_000,
    inUse: (address) => options.inUse?.includes(address) === true,
    probed: (address) => options.probed?.[address],
  };
}

export type Leased = ReturnType<typeof world>;

/** Does to the leases what the server would do. */
export function perform(decision: Decision, { leases }: Leased): Decision {
  if ('offer' in decision && decision.offer !== undefined) leases.offer(decision.offer);
  if ('changes' in decision) void leases.apply(decision.changes);
  return decision;
}

/** What a decision comes to, in a few words. */
export function outcome(decision: Decision): string {
  if (decision.kind === 'silence') return `silence: ${decision.reason}`;
  if (decision.kind === 'probe') return `probe ${decision.address}`;
  if (decision.kind === 'quiet') return `quiet: ${decision.changes.map((change) => change.type).join()}`;
  if (decision.step === 'nak') return `nak: ${decision.reason}`;
  return `${decision.step} ${decision.message.yiaddr}`;
}

/** DISCOVER and REQUEST; gives the address. */
export function bind(mac: string, here: Leased): string {
  const offer = perform(decide(request('discover', { mac }), here), here);
  if (offer.kind !== 'reply') throw new Error(outcome(offer));
  const address = offer.message.yiaddr;
  perform(decide(request('request', { mac }, asking(address, SERVER)), here), here);
  return address;
}

/** A bound lease of MAC's. */
export function lease(fields: Partial<Lease>): Lease {
  return {
    address: '10.77.0.100',
    client: `mac:${MAC}`,
    mac: MAC,
    state: 'bound',
    start: 0,
    expires: 2e6,
    ...fields,
  };
}

/** A registry whose commits fail while `broken`, and wait for `release` while `held`. */
export class BrokenRegistry extends MemoryRegistry {
  broken = false;
  held: Promise<void> | undefined;

  override async transact<T>(work: (tx: Transaction) => T): Promise<T> {
    await this.held;
    if (this.broken) throw new Error('disk full');
    return super.transact(work);
  }
}
