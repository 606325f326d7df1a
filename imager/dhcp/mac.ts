/** MACs as the 6 bytes of a DHCP message and as text: lower case with colons. */

const HEX = Buffer.from('0123456789abcdef', 'latin1');
const COLON = 0x3a;
/** A MAC as text, being written. */
const written = Buffer.alloc(17, COLON);

/** How many texts are kept, a power of two: a megabyte and a half at most. */
const KEPT = 16_384;
/** The numbers whose texts are kept, by some of their bits; nothing is kept under -1. */
const keptNumbers = new Float64Array(KEPT).fill(-1);
const keptTexts = new Array<string>(KEPT).fill('');

/**
 * The MAC in the 6 bytes at `at`, which the caller has checked to be there. The same text for a MAC that comes again soon:
 * making texts, and finding a new one in a map, is most of what a MAC costs.
 */
export function readMac(bytes: Uint8Array, at: number): string {
  const vendor = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  const board = (bytes[at + 3]! << 16) | (bytes[at + 4]! << 8) | bytes[at + 5]!;
  const number = vendor * 0x1000000 + board;
  const place = (board ^ (board >>> 14) ^ vendor) & (KEPT - 1);
  if (keptNumbers[place] !== number) {
    keptNumbers[place] = number;
    keptTexts[place] = textOf(bytes, at);
  }
  return keptTexts[place]!;
}

/** In one piece: text put together by + is slow to look up. */
function textOf(bytes: Uint8Array, at: number): string {
  for (let i = 0; i < 6; i++) {
    const byte = bytes[at + i]!;
    written[3 * i] = HEX[byte >>> 4]!;
    written[3 * i + 1] = HEX[byte & 0xf]!;
  }
  return written.toString('latin1');
}

/** Writes `mac` as 6 bytes at `at`. */
export function writeMac(bytes: Uint8Array, at: number, mac: string): void {
  for (let i = 0; i < 6; i++)
    bytes[at + i] = (digitOf(mac.charCodeAt(3 * i)) << 4) | digitOf(mac.charCodeAt(3 * i + 1));
}

/** The value of a hexadecimal digit in lower case: `a` is 0x61. */
function digitOf(character: number): number {
  return character < 0x61 ? character & 0xf : character - 0x57;
}
