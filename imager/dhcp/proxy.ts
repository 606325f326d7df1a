/**
 * proxyDHCP: what to boot, beside somebody else's server that gives the addresses (PXE specification 2.1, sections
 * 2.2.2 and 2.2.3). A pure function of the message and a snapshot. It never gives an address and never refuses one.
 *
 *     DISCOVER on port 67        OFFER without an address: class, boot file, where it is
 *     REQUEST, INFORM on 4011    ACK with the same, for firmware that asks the boot server once it has its address
 *                                (boot-server.ts)
 *     REQUEST on port 67         not answered, but heard: what a node of ours asks the other server for is its address
 *                                from now on, and is kept as a lease of our own would be
 */
import { bootReply, decideBootServer, isBootFirmware, readBootRequest, type Sender } from './boot-server.ts';
import type { DhcpMessage } from './codec.ts';
import { type Decision, destination, type Silence, type Subject } from './decision.ts';
import { UNSPECIFIED } from './ipv4.ts';
import type { Lease, LeaseChange } from './lease.ts';
import { isHostOf, networkContaining } from './networks.ts';
import type { Request } from './reply.ts';
import type { World } from './world.ts';

/**
 * Decides. `sender` is given for what came to port 4011, undefined for port 67. Throws DhcpError where an option the
 * answer depends on is malformed.
 */
export function decideProxy(message: DhcpMessage, world: World, sender?: Sender): Decision {
  if (sender !== undefined)
    return decideBootServer(message, world, sender, (request) => seenAt(message.ciaddr, request, world));
  const { request, subject, fault } = readBootRequest(message, world);
  const silence = (reason: Silence): Decision => ({ kind: 'silence', subject, reason });
  if (fault !== undefined) return silence(fault);
  const { options } = request;
  const { step } = subject;
  // Everybody on the wire is heard here, and most are no business of ours.
  const isFirmware = isBootFirmware(options);
  if (!isFirmware && request.client.reservation === undefined) return silence('no-boot-firmware');
  if (step === 'discover')
    return isFirmware
      ? bootReply('offer', request, subject, world, destination(message, UNSPECIFIED), [])
      : silence('no-boot-firmware');
  if (options.serverIdentifier === world.config.serverAddress) return silence('proxy-only');
  return step === 'request' ? overhear(request, subject, world) : silence('other-server');
}

/** A broadcast REQUEST is the only word a proxy hears of which address a client takes (RFC 2131 section 3.1). */
function overhear(request: Request, subject: Subject, world: World): Decision {
  const { message, options, client } = request;
  const address = options.requestedAddress ?? (message.ciaddr === UNSPECIFIED ? undefined : message.ciaddr);
  const server = options.serverIdentifier;
  const reserved = client.reservation?.address;
  const differs = reserved !== undefined && address !== undefined && reserved !== address;
  const about: Subject = {
    ...subject,
    address,
    detail: {
      ...subject.detail,
      ...(server === undefined ? {} : { server }),
      ...(differs ? { why: `configured with ${reserved}: reserve that there, or name no address here` } : {}),
    },
  };
  if (client.reservation === undefined || address === undefined || !isHost(address, world))
    return { kind: 'silence', subject: about, reason: 'other-server' };
  return { kind: 'quiet', subject: about, changes: seenAt(address, request, world), reason: 'other-server' };
}

function isHost(address: string, { networks }: World): boolean {
  const network = networkContaining(networks, address);
  return network !== undefined && isHostOf(network, address);
}

/** Keeps in mind that a node has an address. What is known already is written again when half of its time is over. */
function seenAt(address: string, { client, options }: Request, world: World): LeaseChange[] {
  const { config, leases, now } = world;
  const { key, mac, uid, reservation } = client;
  if (reservation === undefined || !isHost(address, world)) return [];
  const known = leases.byAddress(address);
  const lasts = config.leaseSeconds * 1000;
  if (known?.client === key && known.state === 'bound' && known.expires > now + lasts / 2) return [];
  const hostname = reservation.hostname ?? options.hostName;
  const lease: Lease = {
    address,
    client: key,
    mac,
    state: 'bound',
    start: now,
    expires: now + lasts,
    node: reservation.node,
    ...(uid === undefined ? {} : { uid }),
    ...(hostname === undefined ? {} : { hostname }),
  };
  const previous = leases.byClient(key);
  return [
    { type: 'put', lease },
    ...(previous === undefined || previous.address === address
      ? []
      : [{ type: 'delete' as const, address: previous.address }]),
  ];
}
