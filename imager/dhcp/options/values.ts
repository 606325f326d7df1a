/** Values inside options, read strictly: a wrong length is an error. client.ts decides which of them it can ignore. */
import { DhcpError } from '../error.ts';
import { addressFromBytes, addressToBytes } from '../ipv4.ts';
import type { Options } from './field.ts';

const PRINTABLE_FROM = 0x20;
const PRINTABLE_TO = 0x7e;

/** The raw value of `code`; undefined where absent. Throws 'option-length' unless it has one of `lengths`. */
export function readRaw(options: Options, code: number, length: number): Uint8Array | undefined {
  const value = options.get(code);
  if (value !== undefined && value.length !== length)
    throw new DhcpError('option-length', `option ${code} has ${value.length} bytes, not ${length}`);
  return value;
}

/** Unsigned number of `length` bytes (1, 2 or 4), big-endian. */
export function readUint(options: Options, code: number, length: 1 | 2 | 4): number | undefined {
  const value = readRaw(options, code, length);
  if (value === undefined) return undefined;
  let number = 0;
  for (let i = 0; i < length; i++) number = number * 256 + value[i]!;
  return number;
}

export function readAddress(options: Options, code: number): string | undefined {
  const value = readRaw(options, code, 4);
  return value === undefined ? undefined : addressFromBytes(value);
}

/** Longest text taken: what one instance of an option holds. */
const MAX_TEXT = 255;

/**
 * ASCII text without trailing NULs. Anything unprintable becomes '?', since texts end up in logs and files.
 * Throws 'option-length' beyond 255 bytes.
 */
export function readText(options: Options, code: number): string | undefined {
  const value = options.get(code);
  if (value !== undefined && value.length > MAX_TEXT)
    throw new DhcpError('option-length', `option ${code} has ${value.length} bytes, at most ${MAX_TEXT}`);
  return value === undefined ? undefined : textFromBytes(value);
}

/** See readText. */
export function textFromBytes(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  let text = '';
  for (const byte of bytes.subarray(0, end))
    text += byte >= PRINTABLE_FROM && byte <= PRINTABLE_TO ? String.fromCharCode(byte) : '?';
  return text;
}

/** ASCII bytes of `text`. */
export function textToBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** `number` in `length` bytes, big-endian. */
export function uintToBytes(number: number, length: 1 | 2 | 4): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = length - 1, rest = number; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest;
  return bytes;
}

/** The addresses one after the other. */
export function addressesToBytes(addresses: readonly string[]): Uint8Array {
  return Uint8Array.from(addresses.flatMap((address) => [...addressToBytes(address)]));
}
