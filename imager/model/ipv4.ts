/** Which addresses a network has for hosts. */
import { ipv4ToNumber, numberToIpv4 } from '../../agent/protocol/ipv4.ts';

/** The addresses of the network that `base`/`prefix` is in, both ends included, as unsigned 32-bit numbers. */
export function networkRange(base: string, prefix: number): { first: number; last: number } {
  const size = 2 ** (32 - prefix);
  const first = Math.floor(ipv4ToNumber(base) / size) * size;
  return { first, last: first + size - 1 };
}

/** Why `text` cannot be a host of the network that `base`/`prefix` is in; undefined where it can. */
export function hostFault(text: string, base: string, prefix: number): string | undefined {
  const { first, last } = networkRange(base, prefix);
  const at = ipv4ToNumber(text);
  if (at < first || at > last) return `is outside the network of ${base}/${prefix}`;
  if (at === first) return `is the network address of ${base}/${prefix}`;
  if (at === last) return `is the broadcast address of ${base}/${prefix}`;
  return undefined;
}

/** `10.78.0.0/24` in its two parts; undefined where `text` is not that. Bits behind the prefix may be set. */
export function parseNetwork(text: string): { address: string; prefix: number } | undefined {
  const [, address, bits] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  try {
    const prefix = Number(bits);
    if (prefix > 32 || address === undefined) return undefined;
    return { address: numberToIpv4(ipv4ToNumber(address)), prefix };
  } catch {
    return undefined;
  }
}

/** True where `text` is an address and a prefix that leaves room for hosts and is no whole part of the Internet: 8 to 30 bits. */
export function hasHostPrefix(text: string): boolean {
  const prefix = parseNetwork(text)?.prefix ?? 0;
  return prefix >= 8 && prefix <= 30;
}
