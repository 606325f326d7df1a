/** Option 82: what a relay agent says of a client (RFC 3046 section 2). Replies carry it back as it came. */
import { DhcpError } from '../error.ts';
import { addressFromBytes } from '../ipv4.ts';
import { OPTION } from './codes.ts';
import type { Options } from './field.ts';

/** Undefined: not said. */
export interface RelayInformation {
  /** Sub-option 1: where the client is attached, lower-case hexadecimal (RFC 3046 section 3.1). */
  circuit?: string;
  /** Sub-option 5: an address of the client's subnet (RFC 3527 section 3). */
  linkSelection?: string;
  /** Sub-option 11: what clients are to take for the server's address (RFC 5107 section 4). */
  serverOverride?: string;
}

const CIRCUIT = 1;
const LINK_SELECTION = 5;
const SERVER_OVERRIDE = 11;

/** Throws DhcpError 'option-truncated' or 'option-length'. Of a sub-option sent twice the last counts. */
export function readRelayInformation(options: Options): RelayInformation {
  const value = options.get(OPTION.relayAgentInformation);
  const found: RelayInformation = {};
  if (value === undefined) return found;
  for (let at = 0; at < value.length; ) {
    const code = value[at]!;
    const length = value[at + 1];
    if (length === undefined || at + 2 + length > value.length)
      throw new DhcpError('option-truncated', `sub-option ${code} runs past the end of option 82`);
    const part = value.subarray(at + 2, at + 2 + length);
    if (code === CIRCUIT) found.circuit = Buffer.from(part).toString('hex');
    if (code === LINK_SELECTION) found.linkSelection = addressOf(code, part);
    if (code === SERVER_OVERRIDE) found.serverOverride = addressOf(code, part);
    at += 2 + length;
  }
  return found;
}

function addressOf(code: number, value: Uint8Array): string {
  if (value.length !== 4)
    throw new DhcpError('option-length', `sub-option ${code} of option 82 has ${value.length} bytes, not 4`);
  return addressFromBytes(value);
}
