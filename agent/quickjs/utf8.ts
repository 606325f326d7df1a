/**
 * UTF-8 with faults, as the Encoding Standard decodes it (https://encoding.spec.whatwg.org, "UTF-8 decoder"): each
 * maximal part of an ill-formed sequence becomes one U+FFFD.
 */
export function decodeLossy(bytes: Uint8Array): string {
  let text = '';
  let codePoint = 0;
  let needed = 0;
  let lower = 0x80;
  let upper = 0xbf;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (needed > 0) {
      if (byte < lower || byte > upper) {
        text += '\ufffd';
        needed = 0;
        // The byte that does not belong starts a sequence of its own.
        i--;
      } else {
        codePoint = (codePoint << 6) | (byte & 0x3f);
        if (--needed === 0) text += String.fromCodePoint(codePoint);
      }
      lower = 0x80;
      upper = 0xbf;
      continue;
    }
    if (byte < 0x80) text += String.fromCharCode(byte);
    else if (byte >= 0xc2 && byte <= 0xf4) {
      needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      codePoint = byte & (0x3f >> needed);
      if (byte === 0xe0) lower = 0xa0;
      if (byte === 0xed) upper = 0x9f;
      if (byte === 0xf0) lower = 0x90;
      if (byte === 0xf4) upper = 0x8f;
    } else text += '\ufffd';
  }
  return needed > 0 ? `${text}\ufffd` : text;
}
