/**
 * What a server does before it listens, so that its first client waits no longer than the next one: a client that nobody is
 * asks for an address. Else the pool would be put in order, and most of the code loaded, while the first one waits.
 */
import { type DhcpMessage, decodeMessage, encodeMessage } from './codec.ts';
import type { Decision } from './decision.ts';
import { UNSPECIFIED } from './ipv4.ts';
import { MESSAGE_TYPE, OPTION } from './options/codes.ts';

/** Locally administered, as no card is. */
const NOBODY = '02:00:00:00:00:00';

/** Nothing comes of it: `decide` must have no effects, and what it throws would be told where a client asks. */
export function rehearse(decide: (message: DhcpMessage) => Decision): void {
  try {
    const decision = decide(decodeMessage(encodeMessage(discover()).bytes));
    if (decision.kind === 'reply') encodeMessage(decision.message, decision.limit);
  } catch {}
}

function discover(): DhcpMessage {
  return {
    ...{ op: 'request', hops: 0, xid: 0, secs: 0, broadcast: true, mac: NOBODY, serverName: '', file: '' },
    ...{ ciaddr: UNSPECIFIED, yiaddr: UNSPECIFIED, siaddr: UNSPECIFIED, giaddr: UNSPECIFIED },
    options: new Map([[OPTION.messageType, Uint8Array.of(MESSAGE_TYPE.discover)]]),
  };
}
