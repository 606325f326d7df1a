/**
 * TFTP packets, bytes <-> values. RFC 1350 (packets), RFC 2347 (options, OACK). All numbers are big-endian.
 * Pure: what is read is bounded by the datagram, and every fault is one TftpPacketError with its reason.
 */

export const OPCODE = { rrq: 1, wrq: 2, data: 3, ack: 4, error: 5, oack: 6 } as const;

/** RFC 1350 section 5, "Error Codes"; 8 is RFC 2347's "option negotiation". */
export const ERROR_CODE = {
  undefined: 0,
  fileNotFound: 1,
  accessViolation: 2,
  diskFull: 3,
  illegalOperation: 4,
  unknownTransferId: 5,
  fileExists: 6,
  noSuchUser: 7,
  optionRefused: 8,
} as const;

export type Mode = 'octet' | 'netascii' | 'mail';

/** Option names in lower case (they are case-insensitive, RFC 2347) with their values as sent, in wire order. */
export type Options = ReadonlyMap<string, string>;

export interface Request {
  type: 'rrq' | 'wrq';
  file: string;
  mode: Mode;
  options: Options;
}

export type Packet =
  | Request
  | { type: 'data'; block: number; data: Uint8Array }
  | { type: 'ack'; block: number }
  | { type: 'error'; code: number; message: string }
  | { type: 'oack'; options: Options };

export type PacketFault =
  | 'short'
  | 'long'
  | 'opcode'
  | 'unterminated'
  | 'file-name'
  | 'mode'
  | 'option-name'
  | 'option-repeated';

export class TftpPacketError extends Error {
  readonly reason: PacketFault;
  /** Opcode of the packet where it has one: says who deserves an answer. */
  readonly opcode: number | undefined;
  constructor(reason: PacketFault, message: string, opcode?: number) {
    super(message);
    this.reason = reason;
    this.opcode = opcode;
  }
}

/** RFC 2347 bounds a request at 512 octets; some firmware sends longer paths, so twice that is let through. */
export const MAX_REQUEST = 1024;
const MAX_ERROR_TEXT = 256;
const MODES: readonly string[] = ['octet', 'netascii', 'mail'];

/** Reads one datagram. Throws TftpPacketError and nothing else. Data is a view of `bytes`, not a copy. */
export function decodePacket(bytes: Uint8Array): Packet {
  if (bytes.length < 2) throw new TftpPacketError('short', `${bytes.length} bytes have no opcode`);
  const opcode = uint16(bytes, 0);
  switch (opcode) {
    case OPCODE.rrq:
      checkLength(bytes, opcode);
      return decodeRequest(bytes, 'rrq', opcode);
    case OPCODE.wrq:
      checkLength(bytes, opcode);
      return decodeRequest(bytes, 'wrq', opcode);
    case OPCODE.data:
      return { type: 'data', block: number(bytes, opcode), data: bytes.subarray(4) };
    case OPCODE.ack:
      return { type: 'ack', block: number(bytes, opcode) };
    case OPCODE.error:
      return { type: 'error', code: number(bytes, opcode), message: errorText(bytes) };
    case OPCODE.oack:
      checkLength(bytes, opcode);
      return { type: 'oack', options: decodeOptions(bytes, 2, opcode) };
    default:
      throw new TftpPacketError('opcode', `no packet has opcode ${opcode}`, opcode);
  }
}

/** Each option costs a while: what is nothing but options must not be as long as datagrams can be. */
function checkLength(bytes: Uint8Array, opcode: number): void {
  if (bytes.length > MAX_REQUEST)
    throw new TftpPacketError('long', `${bytes.length} bytes of options, limit ${MAX_REQUEST}`, opcode);
}

function uint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** The block number or error code after the opcode. Longer packets than needed are let pass, as other servers do. */
function number(bytes: Uint8Array, opcode: number): number {
  if (bytes.length < 4)
    throw new TftpPacketError('short', `${bytes.length} bytes end before a number`, opcode);
  return uint16(bytes, 2);
}

/** Text for people, from a stranger: cut, and without control characters. A missing NUL is forgiven. */
function errorText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0, 4);
  const text = bytes.subarray(4, Math.min(end < 0 ? bytes.length : end, 4 + MAX_ERROR_TEXT));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the point
  return new TextDecoder().decode(text).replace(/[\x00-\x1f\x7f]/g, ' ');
}

function decodeRequest(bytes: Uint8Array, type: 'rrq' | 'wrq', opcode: number): Request {
  const file = text(bytes, 2, opcode);
  if (file.value === undefined || !/^[^\p{Cc}]+$/u.test(file.value))
    throw new TftpPacketError('file-name', 'file name is empty, not UTF-8 or has control characters', opcode);
  const mode = text(bytes, file.next, opcode);
  const name = mode.value?.toLowerCase() ?? '';
  if (!MODES.includes(name)) throw new TftpPacketError('mode', 'mode is not octet, netascii or mail', opcode);
  return { type, file: file.value, mode: name as Mode, options: decodeOptions(bytes, mode.next, opcode) };
}

function decodeOptions(bytes: Uint8Array, start: number, opcode: number): Options {
  const options = new Map<string, string>();
  let offset = start;
  // Padding with NULs after the last string is forgiven: some boot ROMs send fixed-size requests.
  while (offset < bytes.length && bytes.subarray(offset).some((byte) => byte !== 0)) {
    const name = text(bytes, offset, opcode);
    const value = text(bytes, name.next, opcode);
    if (name.value === undefined || name.value === '' || value.value === undefined)
      throw new TftpPacketError('option-name', `option at byte ${offset} has no name or is not text`, opcode);
    const key = name.value.toLowerCase();
    // RFC 2347: "An option may only be specified once".
    if (options.has(key)) throw new TftpPacketError('option-repeated', `option given twice`, opcode);
    options.set(key, value.value);
    offset = value.next;
  }
  return options;
}

/** A NUL-terminated string and the offset after it; its value is undefined where it is not UTF-8. */
function text(
  bytes: Uint8Array,
  offset: number,
  opcode: number,
): { value: string | undefined; next: number } {
  const end = bytes.indexOf(0, offset);
  if (end < 0) throw new TftpPacketError('unterminated', `string at byte ${offset} has no NUL`, opcode);
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { value: decoder.decode(bytes.subarray(offset, end)), next: end + 1 };
  } catch {
    return { value: undefined, next: end + 1 };
  }
}

/** Writes one packet. Throws TftpPacketError where a string holds a NUL, which would end it early. */
export function encodePacket(packet: Packet): Uint8Array {
  switch (packet.type) {
    case 'rrq':
    case 'wrq':
      return strings(OPCODE[packet.type], [], [packet.file, packet.mode, ...[...packet.options].flat()]);
    case 'data': {
      const bytes = new Uint8Array(4 + packet.data.length);
      writeDataHeader(bytes, packet.block);
      bytes.set(packet.data, 4);
      return bytes;
    }
    case 'ack':
      return Uint8Array.of(0, OPCODE.ack, packet.block >> 8, packet.block);
    case 'error':
      return strings(OPCODE.error, [packet.code >> 8, packet.code], [packet.message]);
    case 'oack':
      return strings(OPCODE.oack, [], [...packet.options].flat());
  }
}

/** Writes the header of a DATA packet in place; `block` is cut to 16 bits, so that it wraps to 0 after 65535. */
export function writeDataHeader(packet: Uint8Array, block: number): void {
  writeHeader(packet, OPCODE.data, block);
}

/** Writes an ACK in place; `block` is cut to 16 bits as well. */
export function writeAck(packet: Uint8Array, block: number): void {
  writeHeader(packet, OPCODE.ack, block);
}

function writeHeader(packet: Uint8Array, opcode: number, block: number): void {
  packet[0] = 0;
  packet[1] = opcode;
  packet[2] = block >> 8;
  packet[3] = block;
}

function strings(opcode: number, numbers: number[], values: string[]): Uint8Array {
  if (values.some((value) => value.includes('\0')))
    throw new TftpPacketError('unterminated', 'a string cannot hold a NUL', opcode);
  const body = new TextEncoder().encode(values.map((value) => `${value}\0`).join(''));
  return Uint8Array.of(0, opcode, ...numbers, ...body);
}
