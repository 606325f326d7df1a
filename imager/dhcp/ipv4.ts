/** IPv4 addresses as text, as unsigned 32-bit numbers (network order read as one number) and as 4 bytes. */

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ADDRESS = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

export const UNSPECIFIED = '0.0.0.0';
export const LIMITED_BROADCAST = '255.255.255.255';

/** True for dotted-quad text without leading zeroes. */
export function isAddress(text: string): boolean {
  return ADDRESS.test(text);
}

/** The address as an unsigned 32-bit number. Throws RangeError where `text` is no address. */
export function addressToNumber(text: string): number {
  if (!isAddress(text)) throw new RangeError(`"${text}" is not an IPv4 address`);
  return text.split('.').reduce((number, octet) => number * 256 + Number(octet), 0);
}

export function numberToAddress(number: number): string {
  return [number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff].join('.');
}

/** The address as 4 bytes in network order. Throws RangeError where `text` is no address. */
export function addressToBytes(text: string): Uint8Array {
  const number = addressToNumber(text);
  return Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);
}

/** The address in the 4 bytes at `offset`, which the caller has checked to be there. */
export function addressFromBytes(bytes: Uint8Array, offset = 0): string {
  return bytes.subarray(offset, offset + 4).join('.');
}

/** The mask with `prefix` leading ones, as an unsigned 32-bit number. */
export function prefixMask(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}
