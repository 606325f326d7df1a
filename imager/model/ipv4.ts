/** Which addresses a network has for hosts. */
import { ipv4ToNumber } from '../../agent/protocol/ipv4.ts';

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
