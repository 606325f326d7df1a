/** How both embedded registries write keys down, so that they order them alike. Pure. */
import type { Key } from './registry.ts';

/** Longest written key: below the 1978 bytes LMDB takes with 4 KiB pages. */
export const MAX_KEY_BYTES = 1024;

const ASCII = /^[!-~]+$/;
const WRITTEN_ASCII = /^[!-~\0]*$/;

/** A key or value the registry cannot hold: the caller's mistake, nothing was written. */
export class RegistryError extends Error {}

/**
 * The written form of `key`: each part in UTF-8 with a NUL behind it, one character a byte. Plain comparison of two
 * written keys therefore orders part by part, as text (by code point), and a key's written form is a prefix of
 * another's exactly where its parts are. Throws RegistryError for parts that are empty, hold a NUL or are not Unicode text.
 */
export function writeKey(key: Key): string {
  const written = key.map((part) => writePart(part, key)).join('');
  if (written.length > MAX_KEY_BYTES)
    throw new RegistryError(
      `registry key of ${written.length} bytes, at most ${MAX_KEY_BYTES}: ${show(key).slice(0, 100)}`,
    );
  return written;
}

/** The key whose written form is `written`. */
export function readKey(written: string): Key {
  const parts = written.split('\0');
  parts.pop();
  if (WRITTEN_ASCII.test(written)) return parts;
  return parts.map((part) => (ASCII.test(part) ? part : Buffer.from(part, 'latin1').toString('utf8')));
}

function writePart(part: string, key: Key): string {
  if (typeof part !== 'string' || part === '')
    throw new RegistryError(`registry key with an empty part: ${show(key)}`);
  // Nearly all there is: written as it reads.
  if (ASCII.test(part)) return `${part}\0`;
  if (part.includes('\0') || /\p{Surrogate}/u.test(part))
    throw new RegistryError(`registry key with a NUL or half a character: ${show(key)}`);
  return `${Buffer.from(part, 'utf8').toString('latin1')}\0`;
}

/** As above, for a key that must name an entry: the empty key is only good as a prefix. */
export function writeEntryKey(key: Key): string {
  if (key.length === 0) throw new RegistryError('registry key without parts');
  return writeKey(key);
}

function show(key: Key): string {
  return JSON.stringify(key);
}
