/** IPv4 addresses as the 4 bytes of a DHCP message. */
import { ipv4ToNumber } from '../../agent/protocol/ipv4.ts';

export const UNSPECIFIED = '0.0.0.0';
export const LIMITED_BROADCAST = '255.255.255.255';

/** The address as 4 bytes in network order. Throws RangeError where `text` is no address. */
export function addressToBytes(text: string): Uint8Array {
  const number = ipv4ToNumber(text);
  return Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);
}

/** The address in the 4 bytes at `offset`, which the caller has checked to be there. */
export function addressFromBytes(bytes: Uint8Array, offset = 0): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}
