/** IPv4 addresses as text and as unsigned 32-bit numbers, and the network they are in. */

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** True where `text` is a dotted quad without leading zeroes (which some readers take for octal). */
export function isIpv4(text: string): boolean {
  return IPV4.test(text);
}

/** The address as an unsigned 32-bit number. `text` must satisfy isIpv4. */
export function ipv4ToNumber(text: string): number {
  return text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

/** Why `text` cannot be a host of the network that `base`/`prefix` is in; undefined where it can. */
export function hostFault(text: string, base: string, prefix: number): string | undefined {
  const size = 2 ** (32 - prefix);
  const first = Math.floor(ipv4ToNumber(base) / size) * size;
  const at = ipv4ToNumber(text) - first;
  if (at < 0 || at >= size) return `is outside the network of ${base}/${prefix}`;
  if (at === 0) return `is the network address of ${base}/${prefix}`;
  if (at === size - 1) return `is the broadcast address of ${base}/${prefix}`;
  return undefined;
}
