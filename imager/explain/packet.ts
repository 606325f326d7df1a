/**
 * Frames -> what matters of them for a boot: ARP, ICMP errors, UDP and TCP over IPv4. Pure but for the fragments it keeps.
 * Cut, malformed and foreign frames give undefined.
 */
import { type Datagram, Fragments } from './fragments.ts';
import type { Frame } from './frame.ts';

interface Head {
  /** Number of the frame; of the last fragment's where there are several. */
  frame: number;
  /** Milliseconds. */
  at: number;
  /** Bytes the capture kept of a frame that it cut inside its datagram; undefined: all that matters. */
  kept?: number;
}

export interface ArpPacket extends Head {
  kind: 'arp';
  what: 'request' | 'reply';
  mac: string;
  sender: string;
  target: string;
}

/** A destination that cannot be reached (RFC 792), with what could not be delivered. */
export interface UnreachablePacket extends Head {
  kind: 'unreachable';
  by: string;
  code: number;
  protocol: 'udp' | 'tcp' | 'other';
  from: string;
  to: string;
  /** Port at the destination. */
  port: number;
}

export interface UdpPacket extends Head {
  kind: 'udp';
  mac: string;
  from: string;
  to: string;
  sourcePort: number;
  port: number;
  /** Bytes of the payload as sent; `payload` has fewer where the frame was cut. */
  length: number;
  payload: Uint8Array;
}

export interface TcpPacket extends Head {
  kind: 'tcp';
  mac: string;
  from: string;
  to: string;
  sourcePort: number;
  port: number;
  syn: boolean;
  ack: boolean;
  reset: boolean;
  fin: boolean;
  /** Bytes of the segment as sent, its header with it. */
  length: number;
  sequence: number;
  acknowledged: number;
  payload: Uint8Array;
}

/** A fragment that was cut, so that its datagram cannot be put together. */
export interface CutFragment extends Head {
  kind: 'cut-fragment';
  to: string;
  length: number;
}

export type Packet = ArpPacket | UnreachablePacket | UdpPacket | TcpPacket | CutFragment;

const ETHERNET = 1;
const LINUX_COOKED = 113;
const LINUX_COOKED_2 = 276;

const IPV4 = 0x0800;
const ARP = 0x0806;
/** 802.1Q, 802.1ad and its predecessor: a tag of four bytes before the type. */
const TAGS = [0x8100, 0x88a8, 0x9100];

const ICMP = 1;
const TCP = 6;
const UDP = 17;

export class PacketReader {
  readonly #fragments = new Fragments();

  read(frame: Frame): Packet | undefined {
    const link = linkOf(frame);
    if (link === undefined) return undefined;
    const place = { frame: frame.number, at: frame.at };
    if (link.type === ARP) return arp(place, link.payload);
    if (link.type !== IPV4) return undefined;
    const ip = ipv4(link.payload);
    if (ip === undefined) return undefined;
    const isCut = ip.payload.length < ip.length;
    const head = isCut ? { ...place, kept: frame.bytes.length } : place;
    if (isCut && ip.fragment) return { ...head, kind: 'cut-fragment', to: ip.to, length: ip.length };
    const whole = ip.fragment ? this.#fragments.take(ip) : ip;
    if (whole === undefined) return undefined;
    const address = { mac: link.mac, from: whole.from, to: whole.to };
    switch (whole.protocol) {
      case UDP:
        return udp({ ...head, ...address }, whole.payload);
      case TCP:
        return tcp({ ...head, ...address }, whole.payload, whole.length);
      case ICMP:
        return icmp({ ...head, by: whole.from }, whole.payload);
      default:
        return undefined;
    }
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The type of what a frame carries, and its sender where the link tells. */
function linkOf({ linkType, bytes }: Frame): { type: number; mac: string; payload: Uint8Array } | undefined {
  const view = viewOf(bytes);
  // Where each link type has its EtherType, where the payload begins, and where the sender's MAC is.
  const places = { [ETHERNET]: [12, 14, 6], [LINUX_COOKED]: [14, 16, 6], [LINUX_COOKED_2]: [0, 20, 12] };
  const place = places[linkType as keyof typeof places];
  if (place === undefined) return undefined;
  let [typeAt, at, macAt] = place as [number, number, number];
  if (bytes.length < at) return undefined;
  let type = view.getUint16(typeAt);
  while (TAGS.includes(type)) {
    if (bytes.length < at + 4) return undefined;
    typeAt = at + 2;
    at += 4;
    type = view.getUint16(typeAt);
  }
  return { type, mac: macOf(bytes, macAt), payload: bytes.subarray(at) };
}

/** RFC 826, for Ethernet and IPv4. */
function arp(head: Head, bytes: Uint8Array): ArpPacket | undefined {
  if (bytes.length < 28 || viewOf(bytes).getUint32(0) !== 0x00010800 || bytes[4] !== 6 || bytes[5] !== 4)
    return undefined;
  const operation = viewOf(bytes).getUint16(6);
  if (operation !== 1 && operation !== 2) return undefined;
  return {
    ...head,
    kind: 'arp',
    what: operation === 1 ? 'request' : 'reply',
    mac: macOf(bytes, 8),
    sender: addressOf(bytes, 14),
    target: addressOf(bytes, 24),
  };
}

/** RFC 791. */
function ipv4(bytes: Uint8Array): Datagram | undefined {
  if (bytes.length < 20 || bytes[0]! >> 4 !== 4) return undefined;
  const view = viewOf(bytes);
  const header = (bytes[0]! & 15) * 4;
  const total = view.getUint16(2);
  if (header < 20 || total < header || bytes.length < header) return undefined;
  const flags = view.getUint16(6);
  const offset = (flags & 0x1fff) * 8;
  const more = (flags & 0x2000) !== 0;
  return {
    from: addressOf(bytes, 12),
    to: addressOf(bytes, 16),
    protocol: bytes[9]!,
    id: view.getUint16(4),
    offset,
    more,
    fragment: more || offset > 0,
    length: total - header,
    // What lies past the total length is padding of the link.
    payload: bytes.subarray(header, total),
  };
}

function udp(head: Omit<UdpPacket, 'kind' | PortFields | 'length' | 'payload'>, bytes: Uint8Array) {
  if (bytes.length < 8) return undefined;
  const view = viewOf(bytes);
  const length = view.getUint16(4) - 8;
  if (length < 0) return undefined;
  return {
    ...head,
    kind: 'udp' as const,
    sourcePort: view.getUint16(0),
    port: view.getUint16(2),
    length,
    payload: bytes.subarray(8, 8 + length),
  };
}

type PortFields = 'sourcePort' | 'port';

function tcp(
  head: Pick<TcpPacket, 'frame' | 'at' | 'kept' | 'mac' | 'from' | 'to'>,
  bytes: Uint8Array,
  length: number,
): TcpPacket | undefined {
  if (bytes.length < 20 || length < 20) return undefined;
  const view = viewOf(bytes);
  const header = (bytes[12]! >> 4) * 4;
  if (header < 20) return undefined;
  const flags = bytes[13]!;
  return {
    ...head,
    kind: 'tcp',
    sourcePort: view.getUint16(0),
    port: view.getUint16(2),
    fin: (flags & 1) !== 0,
    syn: (flags & 2) !== 0,
    reset: (flags & 4) !== 0,
    ack: (flags & 16) !== 0,
    length,
    sequence: view.getUint32(4),
    acknowledged: view.getUint32(8),
    payload: bytes.subarray(header),
  };
}

/** RFC 792: type 3, with the IP header and eight bytes of what could not be delivered. */
function icmp(head: Head & { by: string }, bytes: Uint8Array): UnreachablePacket | undefined {
  if (bytes.length < 8 || bytes[0] !== 3) return undefined;
  const inner = ipv4(bytes.subarray(8));
  if (inner === undefined) return undefined;
  const protocol = inner.protocol === UDP ? 'udp' : inner.protocol === TCP ? 'tcp' : 'other';
  const port = inner.payload.length >= 4 ? viewOf(inner.payload).getUint16(2) : 0;
  return { ...head, kind: 'unreachable', code: bytes[1]!, protocol, from: inner.from, to: inner.to, port };
}

function addressOf(bytes: Uint8Array, offset: number): string {
  return bytes.subarray(offset, offset + 4).join('.');
}

/** The six bytes at `offset` as `52:54:00:00:00:01`. */
export function macOf(bytes: Uint8Array, offset: number): string {
  return Array.from(bytes.subarray(offset, offset + 6), (byte) => byte.toString(16).padStart(2, '0')).join(
    ':',
  );
}
