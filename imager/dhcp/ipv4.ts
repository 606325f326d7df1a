/** IPv4 addresses as the 4 bytes of a DHCP message. */
import { ipv4ToNumber, numberToIpv4 } from '../../agent/protocol/ipv4.ts';

export const UNSPECIFIED = '0.0.0.0';
export const LIMITED_BROADCAST = '255.255.255.255';

/** How many texts are kept, a power of two: about a megabyte at most. */
const KEPT = 16_384;
/** By the last bits of an address: the number whose text is kept there. 0 has its own place, and is right in all others. */
const keptNumbers = new Uint32Array(KEPT);
const keptTexts = new Array<string>(KEPT).fill(UNSPECIFIED);

/**
 * The text of an address given as an unsigned 32-bit number. The same one for an address that comes again soon: making
 * texts, and finding a new one in a map, is most of what an address costs.
 */
export function addressText(number: number): string {
  const place = number & (KEPT - 1);
  if (keptNumbers[place] !== number) {
    keptNumbers[place] = number;
    keptTexts[place] = numberToIpv4(number);
  }
  return keptTexts[place]!;
}

/** The address as 4 bytes in network order. Throws RangeError where `text` is no address. */
export function addressToBytes(text: string): Uint8Array {
  const number = ipv4ToNumber(text);
  const bytes = new Uint8Array(4);
  bytes[0] = number >>> 24;
  bytes[1] = number >>> 16;
  bytes[2] = number >>> 8;
  bytes[3] = number;
  return bytes;
}

/** The address in the 4 bytes at `offset`, which the caller has checked to be there. */
export function addressFromBytes(bytes: Uint8Array, offset = 0): string {
  const high = (bytes[offset]! << 8) | bytes[offset + 1]!;
  const low = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
  return addressText(((high << 16) | low) >>> 0);
}
