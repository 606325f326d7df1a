/**
 * BOOTP, DHCP's ancestor, which the oldest boot ROMs still speak: one request, one reply, no lease (RFC 951; RFC 1542;
 * beside DHCP: RFC 1534). Pure.
 *
 * A BOOTP client never renews and never says that it is done, so an address given to it is gone for good. Therefore
 * only nodes with an address of their own are answered, and nothing is written down: the configuration is the record, and
 * a lease without an end would only have to be told apart from real ones later.
 */
import { addressFault } from './allocate.ts';
import { BOOTP_LENGTH } from './codec.ts';
import { type Decision, destination, type Subject } from './decision.ts';
import { UNSPECIFIED } from './ipv4.ts';
import { grant, type PlacedRequest } from './reply.ts';
import type { World } from './world.ts';

/** The answer to a request without option 53. */
export function decideBootp(request: PlacedRequest, subject: Subject, world: World): Decision {
  const { message, client, subnet } = request;
  const address = client.reservation?.address;
  if (address === undefined) return { kind: 'silence', subject, reason: 'bootp-unreserved' };
  const about = { ...subject, address };
  const fault = addressFault(address, client, subnet, world);
  if (fault !== undefined)
    return {
      kind: 'silence',
      subject: about,
      reason: fault === 'wrong-network' ? 'reserved-elsewhere' : fault,
    };
  const { message: reply, told } = grant('bootp-reply', request, world, { address, seconds: 0 });
  return {
    kind: 'reply',
    step: 'bootp-reply',
    subject: about,
    message: reply,
    to: destination(message, message.ciaddr === address ? address : UNSPECIFIED),
    limit: BOOTP_LENGTH,
    offer: undefined,
    changes: [],
    reason: undefined,
    detail: told,
  };
}
