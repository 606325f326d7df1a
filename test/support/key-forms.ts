/** How a key may be written where it must not be. */

/** In hexadecimal, in base64 wherever it begins in what was encoded, as a list of numbers, as it is (read as Latin-1). */
export function formsOf(key: Uint8Array): string[] {
  const buffer = Buffer.from(key);
  const hex = buffer.toString('hex');
  const spaced = hex.match(/../g)!;
  // Three places in a group of three bytes; the characters that other bytes have a share in are left out.
  const encoded = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), buffer])
      .toString('base64')
      .slice(before === 0 ? 0 : 4, 40),
  );
  const url = encoded.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  const numbers = [...key].map(String);
  const forms = [hex, hex.toUpperCase(), spaced.join(' '), spaced.join(':'), ...encoded, ...url];
  const listed = [numbers.join(','), numbers.join(', '), numbers.map((each, at) => `"${at}":${each}`).join()];
  return [
    ...forms,
    ...listed,
    buffer.toString('latin1'),
    JSON.stringify(buffer.toString('latin1')).slice(1, -1),
  ];
}
