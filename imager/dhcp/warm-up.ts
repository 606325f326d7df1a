/** So that the first client of a new process does not wait for its pool to be put in order and its code to be compiled. */
import { type DhcpMessage, decodeMessage, encodeMessage } from './codec.ts';
import type { Decision } from './decision.ts';
import { UNSPECIFIED } from './ipv4.ts';
import { MESSAGE_TYPE, OPTION } from './options/codes.ts';

/** Enough for the compiler to take notice. */
const ROUNDS = 2000;
/** Milliseconds at most. */
const LONGEST = 50;

/** A DISCOVER of nobody: locally administered, all else zero. */
const DISCOVER: DhcpMessage = {
  op: 'request',
  hops: 0,
  xid: 0,
  secs: 0,
  broadcast: false,
  ciaddr: UNSPECIFIED,
  yiaddr: UNSPECIFIED,
  siaddr: UNSPECIFIED,
  giaddr: UNSPECIFIED,
  mac: '02:00:00:00:00:00',
  serverName: '',
  file: '',
  options: new Map([
    [OPTION.messageType, Uint8Array.of(MESSAGE_TYPE.discover)],
    [OPTION.parameterRequestList, Uint8Array.of(OPTION.subnetMask, OPTION.router, OPTION.domainNameServer)],
  ]),
};

/**
 * Decides about a DISCOVER of nobody over and over, and encodes the answer: nothing is sent, offered or told. Where that
 * fails it will fail for clients, who are the ones to tell it of.
 */
export function warmUp(decide: (message: DhcpMessage) => Decision): void {
  const { bytes } = encodeMessage(DISCOVER);
  const end = performance.now() + LONGEST;
  try {
    for (let round = 0; round < ROUNDS && performance.now() < end; round++) {
      const decision = decide(decodeMessage(bytes));
      if (decision.kind === 'reply') encodeMessage(decision.message, decision.limit);
    }
  } catch {}
}
