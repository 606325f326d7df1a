/** IPv4 addresses as text and as unsigned 32-bit numbers (network order read as one number), and masks. */

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** True where `text` is a dotted quad without leading zeroes (which some readers take for octal). */
export function isIpv4(text: string): boolean {
  return IPV4.test(text);
}

/** The address as an unsigned 32-bit number. Throws RangeError where `text` is no address. */
export function ipv4ToNumber(text: string): number {
  if (!isIpv4(text)) throw new RangeError(`"${text}" is not an IPv4 address`);
  return text.split('.').reduce((number, octet) => number * 256 + Number(octet), 0);
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
