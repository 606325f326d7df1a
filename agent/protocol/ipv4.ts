/** IPv4 addresses as text and as unsigned 32-bit numbers (network order read as one number), and masks. */

const DOT = 0x2e;
const ZERO = 0x30;

/** True where `text` is a dotted quad without leading zeroes (which some readers take for octal). */
export function isIpv4(text: string): boolean {
  return parse(text) !== undefined;
}

/** The address as an unsigned 32-bit number. Throws RangeError where `text` is no address. */
export function ipv4ToNumber(text: string): number {
  const number = parse(text);
  if (number === undefined) throw new RangeError(`"${text}" is not an IPv4 address`);
  return number;
}

/** By hand and not by a regular expression: DHCP servers do little else. */
function parse(text: string): number | undefined {
  let number = 0;
  let dots = 0;
  let octet: number | undefined;
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    if (character === DOT) {
      if (octet === undefined) return undefined;
      number = number * 256 + octet;
      octet = undefined;
      dots++;
      continue;
    }
    const digit = character - ZERO;
    if (digit < 0 || digit > 9 || octet === 0) return undefined;
    octet = octet === undefined ? digit : octet * 10 + digit;
    if (octet > 255) return undefined;
  }
  return dots === 3 && octet !== undefined ? number * 256 + octet : undefined;
}

export function numberToIpv4(number: number): string {
  return [number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff].join('.');
}

/** The mask with `prefix` leading ones, as an unsigned 32-bit number. */
export function prefixMask(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

/** The count of leading ones of a mask; undefined where ones come after a zero. */
export function maskPrefix(mask: number): number | undefined {
  const prefix = Math.clz32(~mask);
  return prefixMask(prefix) === mask ? prefix : undefined;
}
