/** What a client says of an address it has: DECLINE, RELEASE, INFORM (RFC 2131 sections 4.3.3 to 4.3.5). Pure. */
import type { Decision, Subject } from './decision.ts';
import { UNSPECIFIED } from './ipv4.ts';
import type { Lease } from './lease.ts';
import { isHostOf } from './networks.ts';
import { grant, type PlacedRequest, type Request, replyLimit } from './reply.ts';
import type { World } from './world.ts';

/** How long a declined address is put aside. */
export const DECLINE_MS = 600_000;

/**
 * Addresses put aside at a time because one client declined them. A client whose own network is at fault finds each of
 * them in use, and would have the whole pool put aside.
 */
export const MOST_DECLINED = 4;

/** Names a client may have recorded for itself: they end up in lists people read. */
const HOST_NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/;

/**
 * RFC 2131 section 4.3.3. Only who has the address may say that it is in use, or anyone could empty the pool. An offer is
 * not enough: clients look whether an address is in use once they have their ACK (section 3.1, step 5), and what costs a
 * DISCOVER alone can be had by the thousand.
 */
export function decideDecline(request: Request, subject: Subject, world: World): Decision {
  const { options, client } = request;
  const address = options.requestedAddress;
  if (address === undefined) return { kind: 'silence', subject, reason: 'no-address' };
  const about = { ...subject, address };
  const lease = world.leases.byAddress(address);
  if (lease?.client !== client.key || lease.state !== 'bound')
    return { kind: 'silence', subject: about, reason: 'not-holder' };
  const { now } = world;
  if (world.leases.declinedBy(client.mac, now) >= MOST_DECLINED)
    return { kind: 'silence', subject: about, reason: 'declines-all' };
  // Kept under a name no client has: whoever declined must be given another address.
  const declined: Lease = {
    ...leaseOf(request, address, now, now + DECLINE_MS),
    client: `declined:${address}`,
    state: 'declined',
  };
  return { kind: 'quiet', subject: about, changes: [{ type: 'put', lease: declined }] };
}

/** RFC 2131 section 4.3.4: the address is free, but kept in mind for this client. */
export function decideRelease(request: Request, subject: Subject, world: World): Decision {
  const { message, client } = request;
  const lease = world.leases.byAddress(message.ciaddr);
  const about = { ...subject, address: message.ciaddr };
  if (lease === undefined || lease.client !== client.key || lease.state !== 'bound')
    return { kind: 'silence', subject: about, reason: 'not-holder' };
  const released: Lease = { ...lease, state: 'released', expires: world.now };
  return { kind: 'quiet', subject: about, changes: [{ type: 'put', lease: released }] };
}

/** RFC 2131 section 4.3.5: configuration only, for whoever has an address of the network already. */
export function decideInform(request: PlacedRequest, subject: Subject, world: World): Decision {
  const { message, options, subnet } = request;
  const about = { ...subject, address: message.ciaddr };
  if (message.ciaddr === UNSPECIFIED) return { kind: 'silence', subject, reason: 'no-address' };
  if (!isHostOf(subnet, message.ciaddr)) return { kind: 'silence', subject: about, reason: 'other-network' };
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

/** The lease of `address` for who sent a request; times in milliseconds since the epoch. */
export function leaseOf(
  { client, options }: Request,
  address: string,
  start: number,
  expires: number,
): Lease {
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
