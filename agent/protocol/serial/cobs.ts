/**
 * Consistent Overhead Byte Stuffing (Cheshire and Baker, IEEE/ACM Transactions on Networking 7-2, 1999): the same bytes
 * without a zero, so that zeroes can part frames. A code byte N stands before N - 1 bytes that are no zero; a zero
 * follows them, but after N = 255 and at the end.
 */

const LONGEST_RUN = 254;

/** `bytes` without zeroes: one byte more for each 254, rounded up, and at least one. */
export function cobsEncode(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + Math.floor(bytes.length / LONGEST_RUN) + 1);
  let code = 0;
  let at = 1;
  for (const byte of bytes) {
    if (at - code - 1 === LONGEST_RUN) {
      out[code] = at - code;
      code = at++;
    }
    if (byte === 0) {
      out[code] = at - code;
      code = at++;
    } else out[at++] = byte;
  }
  out[code] = at - code;
  return out.subarray(0, at);
}

/** What was encoded; undefined where `bytes` is no encoding: a zero in it, or an end before a run's end. */
export function cobsDecode(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length === 0) return undefined;
  const out = new Uint8Array(bytes.length);
  let length = 0;
  let at = 0;
  while (at < bytes.length) {
    const code = bytes[at]!;
    const end = at + code;
    if (code === 0 || end > bytes.length) return undefined;
    for (at++; at < end; at++) {
      if (bytes[at] === 0) return undefined;
      out[length++] = bytes[at]!;
    }
    if (code <= LONGEST_RUN && at < bytes.length) length++;
  }
  return out.subarray(0, length);
}
