/** What a decision is, and who it is about. */
import type { AddressFault, AllocationFault } from './allocate.ts';
import type { DhcpMessage } from './codec.ts';
import { LIMITED_BROADCAST, UNSPECIFIED } from './ipv4.ts';
import type { LeaseChange, OfferChange } from './lease.ts';
import { MESSAGE_TYPE, type MessageType } from './options/codes.ts';
import type { Request } from './reply.ts';

/** Why a message gets no answer. */
export type Silence =
  | AllocationFault
  /** A reply, sent to a server. */
  | 'not-request'
  /** To a proxy: plain BOOTP, without option 53. */
  | 'bootp'
  /** Plain BOOTP of who has no address of its own: there is no lease to give (RFC 951). */
  | 'bootp-unreserved'
  /** Option 53 is none that clients send. */
  | 'message-type'
  /** A relay agent, or an address to answer to, of a network that is not configured. */
  | 'other-network'
  /** Names another server. */
  | 'other-server'
  /** A request that names no address. */
  | 'no-address'
  /** A client nothing is known about keeps to an address: another server's (RFC 2131 section 4.3.2, INIT-REBOOT). */
  | 'no-lease'
  /** Gives back or declines an address it does not have. */
  | 'not-holder'
  /** Declines one address after the other. */
  | 'declines-all'
  /** Its address is being asked after already, for the same client. */
  | 'probing'
  /** To a proxy: neither PXE nor HTTP boot firmware nor iPXE. */
  | 'no-boot-firmware'
  /** To a proxy: boot firmware there is nothing for; the event's `why` says why. */
  | 'no-boot-file'
  /** To a boot server: its menu has no such item. */
  | 'no-boot-item'
  /** Asks a proxy for an address. */
  | 'proxy-only';

/** `bootp`: a request without option 53. */
export type ClientStep = 'bootp' | 'discover' | 'request' | 'decline' | 'release' | 'inform';

export interface Destination {
  address: string;
  /** Relay agents listen where servers do (RFC 2131 section 4.1); a number: where the request came from. */
  port: 'client' | 'server' | number;
}

/** Who a message is about, for events. `step` is undefined where it is none of a client's. */
export interface Subject {
  step: ClientStep | undefined;
  mac: string;
  address: string | undefined;
  node: string | undefined;
  detail: Record<string, string | number | boolean>;
  /** Codes of options that are malformed and were not heeded. */
  ignored: readonly number[];
}

export type Decision =
  | {
      kind: 'reply';
      subject: Subject;
      step: 'offer' | 'ack' | 'nak' | 'bootp-reply';
      message: DhcpMessage;
      to: Destination;
      /** Longest UDP payload the client takes. */
      limit: number;
      /** Comes to pass before replying. */
      offer: OfferChange | undefined;
      /** Make these durable before replying. */
      changes: LeaseChange[];
      /** Why it is a NAK. */
      reason: AddressFault | undefined;
      detail: Record<string, string | number | boolean>;
    }
  /** Ask whether somebody uses `address`, then decide again with the answer in the snapshot. */
  | { kind: 'probe'; subject: Subject; address: string; offer: OfferChange }
  /** Done as asked, nothing to answer. `reason`: asked of somebody else, and only heard. */
  | { kind: 'quiet'; subject: Subject; changes: LeaseChange[]; reason?: 'other-server' }
  | { kind: 'silence'; subject: Subject; reason: Silence; offer?: OfferChange };

/** What messages are counted under: texts that are there and not made for each of them. */
export const RECEIVED = {
  bootp: 'received.bootp',
  discover: 'received.discover',
  request: 'received.request',
  decline: 'received.decline',
  release: 'received.release',
  inform: 'received.inform',
} as const;
export const SENT = {
  offer: 'sent.offer',
  ack: 'sent.ack',
  nak: 'sent.nak',
  'bootp-reply': 'sent.bootp-reply',
} as const;

const CLIENT_STEPS: ReadonlyMap<number, ClientStep> = new Map(
  (['discover', 'request', 'decline', 'release', 'inform'] satisfies MessageType[]).map((step) => [
    MESSAGE_TYPE[step],
    step,
  ]),
);

/** Who sent `request` and what it said of itself, for events. `subnet` names the network it is in. */
export function subjectOf({ message, client, options }: Request, subnet?: string): Subject {
  const { architecture, userClass, vendorClass, messageType, relay, ignored, asked } = options;
  // One by one and not spread: this is made for every message.
  const detail: Subject['detail'] = {};
  if (architecture !== undefined) detail.arch = architecture;
  if (userClass !== undefined) detail.userClass = userClass;
  if (vendorClass !== undefined) detail.vendorClass = vendorClass;
  if (asked !== undefined) detail.asked = asked;
  if (subnet !== undefined) detail.subnet = subnet;
  if (message.giaddr !== UNSPECIFIED) detail.relay = message.giaddr;
  if (relay.circuit !== undefined) detail.circuit = relay.circuit;
  return {
    step: messageType === undefined ? 'bootp' : CLIENT_STEPS.get(messageType),
    mac: client.mac,
    address: options.requestedAddress,
    node: client.reservation?.node,
    ignored,
    detail,
  };
}

/**
 * RFC 2131 section 4.1: to the relay agent, else to an address the client already answers at, else broadcast. To an
 * unconfigured client without the broadcast flag the RFC prefers unicast; that takes an ARP entry for an address
 * nobody answers for yet, which Node cannot make. Every client hears a broadcast.
 */
export function destination(message: DhcpMessage, ciaddr: string): Destination {
  if (message.giaddr !== UNSPECIFIED) return { address: message.giaddr, port: 'server' };
  return { address: ciaddr === UNSPECIFIED ? LIMITED_BROADCAST : ciaddr, port: 'client' };
}
