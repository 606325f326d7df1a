/** What the server does about a message: a pure function of the message and a snapshot (RFC 2131 section 4.3). */
import { type AddressFault, type AllocationFault, addressFault, allocate } from './allocate.ts';
import type { DhcpMessage } from './codec.ts';
import { isHostOf } from './config.ts';
import { LIMITED_BROADCAST, UNSPECIFIED } from './ipv4.ts';
import type { Lease, LeaseChange, OfferChange } from './lease.ts';
import { type ClientOptions, readClientOptions } from './options/client.ts';
import { MESSAGE_TYPE, type MessageType } from './options/codes.ts';
import { grant, type Request, refuse, replyLimit } from './reply.ts';
import { type Client, identify, type World } from './world.ts';

/** How long an offered address waits for its REQUEST. */
export const OFFER_MS = 30_000;
/** How long a declined address is put aside. */
export const DECLINE_MS = 600_000;
/** Shortest lease a client can ask for, where the configured one is longer. */
const MIN_LEASE_SECONDS = 60;

/** Names a client may have recorded for itself: they end up in lists people read. */
const HOST_NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/;

/** Why a message gets no answer. */
export type Silence =
  | AllocationFault
  /** A reply, sent to a server. */
  | 'not-request'
  /** No option 53: plain BOOTP is not served. */
  | 'bootp'
  /** Option 53 is none that clients send. */
  | 'message-type'
  /** A relay agent, or an address to answer to, of another network. */
  | 'other-network'
  /** Names another server. */
  | 'other-server'
  /** A request that names no address. */
  | 'no-address'
  /** A client nothing is known about keeps to an address: another server's (RFC 2131 section 4.3.2, INIT-REBOOT). */
  | 'no-lease'
  /** Gives back or declines an address it does not have. */
  | 'not-holder'
  /** To a proxy: neither PXE nor HTTP boot firmware nor iPXE. */
  | 'no-boot-firmware'
  /** To a proxy: boot firmware there is nothing for; the event's `why` says why. */
  | 'no-boot-file'
  /** Asks a proxy for an address. */
  | 'proxy-only';

export type ClientStep = 'discover' | 'request' | 'decline' | 'release' | 'inform';

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
      step: 'offer' | 'ack' | 'nak';
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
  /** Done as asked, nothing to answer. */
  | { kind: 'quiet'; subject: Subject; changes: LeaseChange[] }
  | { kind: 'silence'; subject: Subject; reason: Silence; offer?: OfferChange };

const CLIENT_STEPS: ReadonlyMap<number, ClientStep> = new Map(
  (['discover', 'request', 'decline', 'release', 'inform'] satisfies MessageType[]).map((step) => [
    MESSAGE_TYPE[step],
    step,
  ]),
);

/** Decides. Throws DhcpError where an option the answer depends on is malformed. */
export function decide(message: DhcpMessage, world: World): Decision {
  const options = readClientOptions(message.options);
  const client = identify(message, options, world);
  const request: Request = { message, options, client };
  const subject = subjectOf(request);
  if (message.op !== 'request') return { kind: 'silence', subject, reason: 'not-request' };
  if (options.messageType === undefined) return { kind: 'silence', subject, reason: 'bootp' };
  if (subject.step === undefined) return { kind: 'silence', subject, reason: 'message-type' };
  if (message.giaddr !== UNSPECIFIED && !isHostOf(world.network, message.giaddr))
    return { kind: 'silence', subject, reason: 'other-network' };
  const server = options.serverIdentifier;
  if (server !== undefined && server !== world.config.serverAddress)
    // It took another server's offer, so ours is free again (RFC 2131 section 3.1, step 3).
    return {
      kind: 'silence',
      subject,
      reason: 'other-server',
      offer: { type: 'withdraw', client: client.key },
    };
  switch (subject.step) {
    case 'discover':
      return decideDiscover(request, subject, world);
    case 'request':
      return decideRequest(request, subject, world);
    case 'decline':
      return decideDecline(request, subject, world);
    case 'release':
      return decideRelease(request, subject, world);
    case 'inform':
      return decideInform(request, subject, world);
  }
}

/** RFC 2131 section 4.3.1. No ping before the offer: it would cost a boot seconds; DECLINE finds double use. */
function decideDiscover(request: Request, subject: Subject, world: World): Decision {
  const { message, options, client } = request;
  const found = allocate(client, options.requestedAddress, world);
  if ('fault' in found) return { kind: 'silence', subject, reason: found.fault };
  const seconds = leaseSeconds(options, world);
  const { message: reply, told } = grant('offer', request, world, { address: found.address, seconds });
  return {
    kind: 'reply',
    step: 'offer',
    subject: { ...subject, address: found.address },
    message: reply,
    to: destination(message, UNSPECIFIED),
    limit: replyLimit(options),
    offer: {
      type: 'hold',
      offer: { address: found.address, client: client.key, expires: world.now + OFFER_MS },
    },
    changes: [],
    reason: undefined,
    detail: told,
  };
}

/** RFC 2131 section 4.3.2: which of the four kinds of REQUEST it is shows in options 54 and 50 and in ciaddr. */
function decideRequest(request: Request, subject: Subject, world: World): Decision {
  const { message, options, client } = request;
  const ciaddr = message.ciaddr === UNSPECIFIED ? undefined : message.ciaddr;
  const address = options.requestedAddress ?? ciaddr;
  if (address === undefined) return { kind: 'silence', subject, reason: 'no-address' };
  const about = { ...subject, address };
  const offered = world.leases.offerTo(client.key, world.now)?.address;
  const previous = world.leases.byClient(client.key)?.address;
  const selecting = options.serverIdentifier !== undefined;
  const found = addressFault(address, client, world);
  // Who renews an address that nobody has a lease of is the one who uses it.
  const isOwn = found === 'address-in-use' && ciaddr === address && !world.leases.byAddress(address);
  const fault = isOwn ? undefined : found;
  const stranger = client.reservation === undefined && previous === undefined && offered === undefined;
  // Who was never ours and keeps to an address that is not ours to give is another server's client. RFC 2131 section
  // 4.3.2 would have us refuse (SHOULD) an address of another network, but the broadcast may be another interface's
  // (see server.ts), whose server we must not speak for; only a relay agent tells for sure where the client is.
  const elsewhere = fault === 'not-in-pool' || (fault === 'wrong-network' && message.giaddr === UNSPECIFIED);
  if (!selecting && stranger && (elsewhere || (fault === undefined && ciaddr === undefined)))
    return { kind: 'silence', subject: about, reason: 'no-lease' };
  if (fault !== undefined) return nak(request, about, world, fault);
  // After a restart an offer is forgotten, and a renewal may be of a lease nobody remembers; a free address is good.
  const expected = (selecting ? offered : undefined) ?? previous ?? offered ?? address;
  return client.reservation?.address !== undefined || expected === address
    ? ack(request, about, world)
    : nak(request, about, world, 'wrong-address');
}

function ack(request: Request, subject: Subject, world: World): Decision {
  const { message, options, client } = request;
  const address = subject.address!;
  const seconds = leaseSeconds(options, world);
  const { message: reply, told } = grant('ack', request, world, { address, seconds });
  const previous = world.leases.byClient(client.key);
  const changes: LeaseChange[] = [
    { type: 'put', lease: leaseOf(request, address, world.now, world.now + seconds * 1000) },
  ];
  // A client has one address: where it moved, the other is free again.
  if (previous !== undefined && previous.address !== address)
    changes.push({ type: 'delete', address: previous.address });
  return {
    kind: 'reply',
    step: 'ack',
    subject,
    message: reply,
    // A ciaddr that is not the client's would have us send to whatever host is named there.
    to: destination(message, message.ciaddr === address ? address : UNSPECIFIED),
    limit: replyLimit(options),
    offer: { type: 'withdraw', client: client.key },
    changes,
    reason: undefined,
    detail: { seconds, ...told },
  };
}

function nak(request: Request, subject: Subject, world: World, reason: AddressFault): Decision {
  const { message, options } = request;
  return {
    kind: 'reply',
    step: 'nak',
    subject,
    message: refuse(request, world, reason.replaceAll('-', ' ')),
    // Never to ciaddr: the client is to give that up (RFC 2131 section 4.1).
    to: destination(message, UNSPECIFIED),
    limit: replyLimit(options),
    offer: undefined,
    changes: [],
    reason,
    detail: {},
  };
}

/** RFC 2131 section 4.3.3. Only who has the address may say that it is in use, or anyone could empty the pool. */
function decideDecline(request: Request, subject: Subject, world: World): Decision {
  const { options, client } = request;
  const address = options.requestedAddress;
  if (address === undefined) return { kind: 'silence', subject, reason: 'no-address' };
  const about = { ...subject, address };
  const lease = world.leases.byAddress(address);
  const holds =
    (lease?.client === client.key && lease.state === 'bound') ||
    world.leases.offerOf(address, world.now)?.client === client.key;
  if (!holds) return { kind: 'silence', subject: about, reason: 'not-holder' };
  const { now } = world;
  // Kept under a name no client has: whoever declined must be given another address.
  const declined: Lease = {
    ...leaseOf(request, address, now, now + DECLINE_MS),
    client: `declined:${address}`,
    state: 'declined',
  };
  return { kind: 'quiet', subject: about, changes: [{ type: 'put', lease: declined }] };
}

/** RFC 2131 section 4.3.4: the address is free, but kept in mind for this client. */
function decideRelease(request: Request, subject: Subject, world: World): Decision {
  const { message, client } = request;
  const lease = world.leases.byAddress(message.ciaddr);
  const about = { ...subject, address: message.ciaddr };
  if (lease === undefined || lease.client !== client.key || lease.state !== 'bound')
    return { kind: 'silence', subject: about, reason: 'not-holder' };
  const released: Lease = { ...lease, state: 'released', expires: world.now };
  return { kind: 'quiet', subject: about, changes: [{ type: 'put', lease: released }] };
}

/** RFC 2131 section 4.3.5: configuration only, for whoever has an address of this network already. */
function decideInform(request: Request, subject: Subject, world: World): Decision {
  const { message, options } = request;
  const about = { ...subject, address: message.ciaddr };
  if (!isHostOf(world.network, message.ciaddr))
    return { kind: 'silence', subject: about, reason: 'other-network' };
  const { message: reply, told } = grant('ack', request, world, undefined);
  return {
    kind: 'reply',
    step: 'ack',
    subject: about,
    message: reply,
    to: { address: message.ciaddr, port: 'client' },
    limit: replyLimit(options),
    offer: undefined,
    changes: [],
    reason: undefined,
    detail: told,
  };
}

/**
 * RFC 2131 section 4.1: to the relay agent, else to an address the client already answers at, else broadcast. To an
 * unconfigured client without the broadcast flag the RFC prefers unicast; that takes an ARP entry for an address
 * nobody answers for yet, which Node cannot make. Every client hears a broadcast.
 */
function destination(message: DhcpMessage, ciaddr: string): Destination {
  if (message.giaddr !== UNSPECIFIED) return { address: message.giaddr, port: 'server' };
  return { address: ciaddr === UNSPECIFIED ? LIMITED_BROADCAST : ciaddr, port: 'client' };
}

/** What the client asks for, within what is configured. */
function leaseSeconds({ leaseSeconds: asked }: ClientOptions, { config }: World): number {
  const shortest = Math.min(MIN_LEASE_SECONDS, config.leaseSeconds);
  return asked === undefined ? config.leaseSeconds : Math.min(Math.max(asked, shortest), config.leaseSeconds);
}

function leaseOf({ client, options }: Request, address: string, start: number, expires: number): Lease {
  const claimed = options.hostName ?? '';
  const hostname = client.reservation?.hostname ?? (HOST_NAME.test(claimed) ? claimed : undefined);
  return {
    address,
    client: client.key,
    mac: client.mac,
    state: 'bound',
    start,
    expires,
    ...(client.reservation === undefined ? {} : { node: client.reservation.node }),
    ...(client.uid === undefined ? {} : { uid: client.uid }),
    ...(hostname === undefined ? {} : { hostname }),
  };
}

/** Who `client` is and what it said of itself, for events. */
export function subjectOf({ client, options }: { client: Client; options: ClientOptions }): Subject {
  const { architecture, userClass, vendorClass, ignored } = options;
  return {
    step: CLIENT_STEPS.get(options.messageType ?? -1),
    mac: client.mac,
    address: options.requestedAddress,
    node: client.reservation?.node,
    ignored,
    detail: {
      ...(architecture === undefined ? {} : { arch: architecture }),
      ...(userClass === undefined ? {} : { userClass }),
      ...(vendorClass === undefined ? {} : { vendorClass }),
    },
  };
}
