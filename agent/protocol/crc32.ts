/** CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320), as zlib, U-Boot and NBD tools compute it. */

const TABLE = new Uint32Array(256);
// Of a power of two from that of the next, of all others by adding: 255 steps in the place of 2048, at each start.
for (let power = 128, c = 1; power > 0; power >>>= 1) {
  c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  for (let n = 0; n < 256; n += 2 * power) TABLE[power + n] = c ^ TABLE[n]!;
}

/** CRC-32 of `bytes`, as an unsigned 32-bit number. */
export function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = TABLE[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8);
  return ~c >>> 0;
}
