/** ISO 8859-1: a letter for each byte, so that text of unknown encoding is written again as it was read. */

/** So many arguments every engine takes in one call. */
const AT_ONCE = 1024;

export function fromLatin1(bytes: Uint8Array): string {
  if (bytes.length <= AT_ONCE) return String.fromCharCode(...bytes);
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += AT_ONCE)
    parts.push(String.fromCharCode(...bytes.subarray(at, at + AT_ONCE)));
  return parts.join('');
}

/** Only for text of letters up to U+00FF. */
export function toLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
