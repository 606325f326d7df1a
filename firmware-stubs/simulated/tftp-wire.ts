/** TFTP as a PXE ROM speaks it (RFC 1350, 2347, 2348, 2349, 7440), written apart from the imager's codec. */

export type TftpReply =
  | { type: 'data'; block: number; data: Uint8Array }
  | { type: 'oack'; options: Record<string, string> }
  | { type: 'error'; code: number; message: string };

/** A read request in mode octet. */
export function encodeRead(file: string, options: Record<string, number>): Uint8Array {
  const words = [file, 'octet', ...Object.entries(options).flatMap(([name, value]) => [name, `${value}`])];
  return Uint8Array.from([0, 1, ...words.flatMap((word) => [...bytesOf(word), 0])]);
}

/** An ACK; `block` is cut to 16 bits. */
export function encodeAck(block: number): Uint8Array {
  return Uint8Array.of(0, 4, block >> 8, block);
}

export function encodeError(code: number, message: string): Uint8Array {
  return Uint8Array.from([0, 5, 0, code, ...bytesOf(message), 0]);
}

/** Reads what a server sends; undefined where it is nothing a ROM knows. Data is a view of `bytes`. */
export function decodeTftp(bytes: Uint8Array): TftpReply | undefined {
  if (bytes.length < 4 || bytes[0] !== 0) return undefined;
  const number = (bytes[2]! << 8) | bytes[3]!;
  if (bytes[1] === 3) return { type: 'data', block: number, data: bytes.subarray(4) };
  if (bytes[1] === 5) return { type: 'error', code: number, message: wordsOf(bytes.subarray(4))[0] ?? '' };
  if (bytes[1] !== 6) return undefined;
  const words = wordsOf(bytes.subarray(2));
  const options: Record<string, string> = {};
  for (let index = 0; index + 1 < words.length; index += 2)
    options[words[index]!.toLowerCase()] = words[index + 1]!;
  return { type: 'oack', options };
}

function bytesOf(word: string): number[] {
  return Array.from(word, (letter) => letter.charCodeAt(0));
}

/** The strings, each ended by its NUL. */
function wordsOf(bytes: Uint8Array): string[] {
  return String.fromCharCode(...bytes)
    .split('\0')
    .slice(0, -1);
}
