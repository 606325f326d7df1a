/** What the server does about a message: a pure function of the message and a snapshot (RFC 2131 section 4.3). */
import { type AddressFault, addressFault, allocate } from './allocate.ts';
import { decideBootp } from './bootp.ts';
import type { DhcpMessage } from './codec.ts';
import { type Decision, destination, type Subject, subjectOf } from './decision.ts';
import { decideDecline, decideInform, decideRelease, leaseOf } from './held.ts';
import { UNSPECIFIED } from './ipv4.ts';
import { isActive, type LeaseChange, OFFER_MS, type Offer, type OfferChange } from './lease.ts';
import { isHostOf, networkOfSender } from './networks.ts';
import { type ClientOptions, readClientOptions } from './options/client.ts';
import { grant, type PlacedRequest, type Request, refuse, replyLimit, serverIdentifiers } from './reply.ts';
import { identify, type World } from './world.ts';

/** Shortest lease a client can ask for, where the configured one is longer. */
const MIN_LEASE_SECONDS = 60;

/** Decides. Throws DhcpError where an option the answer depends on is malformed. */
export function decide(message: DhcpMessage, world: World): Decision {
  const options = readClientOptions(message.options);
  const client = identify(message, options, world);
  const request: Request = { message, options, client };
  const subnet = networkOfSender(message, options, world.networks);
  const subject = subjectOf(request, subnet?.name);
  const silence = (reason: 'not-request' | 'message-type' | 'other-network'): Decision => ({
    kind: 'silence',
    subject,
    reason,
  });
  if (message.op !== 'request') return silence('not-request');
  if (subject.step === undefined) return silence('message-type');
  const server = options.serverIdentifier;
  if (server !== undefined && !serverIdentifiers(request, world).includes(server))
    // It took another server's offer, so ours is free again (RFC 2131 section 3.1, step 3).
    return {
      kind: 'silence',
      subject: { ...subject, detail: { ...subject.detail, chosen: server } },
      reason: 'other-server',
      offer: { type: 'withdraw', client: client.key },
    };
  if (subject.step === 'decline') return decideDecline(request, subject, world);
  if (subject.step === 'release') return decideRelease(request, subject, world);
  if (subnet === undefined) return silence('other-network');
  // Not spread: that costs as much as half of all else here.
  const placed: PlacedRequest = { message, options, client, subnet };
  switch (subject.step) {
    case 'bootp':
      return decideBootp(placed, subject, world);
    case 'discover':
      return decideDiscover(placed, subject, world);
    case 'request':
      return decideRequest(placed, subject, world);
    case 'inform':
      return decideInform(placed, subject, world);
  }
}

/** RFC 2131 section 4.3.1. */
function decideDiscover(request: PlacedRequest, subject: Subject, world: World): Decision {
  const { message, options, client, subnet } = request;
  const found = allocate(client, options.requestedAddress, subnet, world);
  if ('fault' in found) return { kind: 'silence', subject, reason: found.fault };
  const { address } = found;
  const about = { ...subject, address };
  const former = world.leases.offerOf(address, world.now);
  const contested = former !== undefined && (former.client !== client.key || former.contested === true);
  const offer: Offer = { address, client: client.key, expires: world.now + OFFER_MS };
  const hold: OfferChange = { type: 'hold', offer: contested ? { ...offer, contested } : offer };
  if (isProbed(request, address, world)) return { kind: 'probe', subject: about, address, offer: hold };
  const seconds = leaseSeconds(request);
  const { message: reply, told } = grant('offer', request, world, { address, seconds });
  return {
    kind: 'reply',
    step: 'offer',
    subject: about,
    message: reply,
    to: destination(message, UNSPECIFIED),
    limit: replyLimit(options),
    offer: hold,
    changes: [],
    reason: undefined,
    detail: told,
  };
}

/**
 * Whether somebody has to be asked after at `address` before it is offered (RFC 2131 section 2.2). Not for addresses the
 * configuration or a lease says are the client's, and never for boot firmware: a second is a large part of its
 * patience, so there DECLINE alone finds double use.
 */
function isProbed({ client, options }: PlacedRequest, address: string, world: World): boolean {
  if (world.config.probe !== true || isFirmware(options)) return false;
  if (client.reservation?.address === address) return false;
  const lease = world.leases.byClient(client.key);
  const isOwn = lease?.address === address && isActive(lease, world.now);
  return !isOwn && world.probed(address) === undefined;
}

/** U-Boot sends neither class, but the architecture as all of them do. */
function isFirmware({ vendorClass = '', architecture, ipxe }: ClientOptions): boolean {
  return ipxe || architecture !== undefined || /^(?:PXE|HTTP)Client/.test(vendorClass);
}

/** RFC 2131 section 4.3.2: which of the four kinds of REQUEST it is shows in options 54 and 50 and in ciaddr. */
function decideRequest(request: PlacedRequest, subject: Subject, world: World): Decision {
  const { message, options, client, subnet } = request;
  const ciaddr = message.ciaddr === UNSPECIFIED ? undefined : message.ciaddr;
  const address = options.requestedAddress ?? ciaddr;
  if (address === undefined) return { kind: 'silence', subject, reason: 'no-address' };
  const about = { ...subject, address };
  const offered = world.leases.offerTo(client.key, world.now)?.address;
  const last = world.leases.byClient(client.key)?.address;
  const selecting = options.serverIdentifier !== undefined;
  const found = addressFault(address, client, subnet, world);
  // Who renews an address that nobody has a lease of is the one who uses it.
  const isOwn = found === 'address-in-use' && ciaddr === address && !world.leases.byAddress(address);
  const fault = isOwn ? undefined : found;
  const stranger = client.reservation === undefined && last === undefined && offered === undefined;
  // Who was never ours and keeps to an address that is not ours to give is another server's client. RFC 2131 section
  // 4.3.2 would have us refuse (SHOULD) an address of another network, but the broadcast may be another interface's
  // (see sockets.ts), whose server we must not speak for; only a relay agent tells for sure where the client is.
  const elsewhere = fault === 'not-in-pool' || (fault === 'wrong-network' && message.giaddr === UNSPECIFIED);
  if (!selecting && stranger && (elsewhere || (fault === undefined && ciaddr === undefined)))
    return { kind: 'silence', subject: about, reason: 'no-lease' };
  if (fault !== undefined) return nak(request, about, world, fault);
  // After a restart an offer is forgotten, and a renewal may be of a lease nobody remembers; a free address is good.
  // What it had in another network it has left.
  const previous = last !== undefined && isHostOf(subnet, last) ? last : undefined;
  const expected = (selecting ? offered : undefined) ?? previous ?? offered ?? address;
  return client.reservation?.address !== undefined || expected === address
    ? ack(request, about, world)
    : nak(request, about, world, 'wrong-address');
}

function ack(request: PlacedRequest, subject: Subject, world: World): Decision {
  const { message, options, client } = request;
  const address = subject.address!;
  const seconds = leaseSeconds(request);
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

function nak(request: PlacedRequest, subject: Subject, world: World, reason: AddressFault): Decision {
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

/** What the client asks for, within what is configured for its network. */
function leaseSeconds({ options: { leaseSeconds: asked }, subnet }: PlacedRequest): number {
  const longest = subnet.settings.leaseSeconds;
  const shortest = Math.min(MIN_LEASE_SECONDS, longest);
  return asked === undefined ? longest : Math.min(Math.max(asked, shortest), longest);
}
