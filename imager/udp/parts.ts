/** Datagrams that lie one behind the other. */

/** Views of `size` bytes each, the last of what is left. */
export function partsOf(bytes: Uint8Array, size: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size));
  return parts;
}
