/**
 * DHCP messages: bytes <-> values (RFC 2131 section 2; options RFC 2132; overload RFC 2132 section 9.3; long options
 * RFC 3396). Pure.
 */
import { ipv4ToNumber } from '../../agent/protocol/ipv4.ts';
import { DhcpError } from './error.ts';
import { addressFromBytes } from './ipv4.ts';
import { readMac, writeMac } from './mac.ts';
import { OPTION } from './options/codes.ts';
import { type Options, placeOptions, readOptions } from './options/field.ts';
import { textFromBytes, textToBytes } from './options/values.ts';

/** A message. Addresses are dotted quads, 0.0.0.0 for none. */
export interface DhcpMessage {
  op: 'request' | 'reply';
  /** Relay agents passed. */
  hops: number;
  /** Transaction id, unsigned 32-bit. */
  xid: number;
  /** Seconds since the client began. */
  secs: number;
  /** The client cannot take unicast before it has an address (flag bit 15, RFC 2131 section 2). */
  broadcast: boolean;
  ciaddr: string;
  yiaddr: string;
  siaddr: string;
  giaddr: string;
  /** Lower case with colons. */
  mac: string;
  /** Empty where the field holds options instead. */
  serverName: string;
  /** Empty where the field holds options instead. */
  file: string;
  /** Everything but pad, end and overload, which belong to the encoding. */
  options: Options;
}

const SNAME = { offset: 44, length: 64 };
const FILE = { offset: 108, length: 128 };
const COOKIE_OFFSET = 236;
const COOKIE = 0x63825363;
const OPTIONS_OFFSET = 240;

/** Longest message taken. Requests are a few hundred bytes; a relay's additions fit well. */
export const MAX_MESSAGE = 4096;
/** What every client takes without saying so: an IP datagram of 576 bytes less IP and UDP headers (RFC 2131 section 2). */
export const DEFAULT_LIMIT = 548;
/** BOOTP's fixed size: some receivers, Linux' in-kernel client among them, ignore anything shorter (RFC 1542 2.1). */
export const BOOTP_LENGTH = 300;

const OVERLOAD_FILE = 1;
const OVERLOAD_SNAME = 2;

/** Texts with fields of their own, in which options have a place where they do not. */
const TEXTS = [
  { bit: OVERLOAD_FILE, field: FILE, member: 'file', code: OPTION.bootFileName },
  { bit: OVERLOAD_SNAME, field: SNAME, member: 'serverName', code: OPTION.tftpServerName },
] as const;

/** The message in `bytes`, or throws DhcpError. Nothing of `bytes` is kept. */
export function decodeMessage(bytes: Uint8Array): DhcpMessage {
  if (bytes.length < OPTIONS_OFFSET)
    throw new DhcpError('short', `message of ${bytes.length} bytes, at least ${OPTIONS_OFFSET}`);
  if (bytes.length > MAX_MESSAGE)
    throw new DhcpError('long', `message of ${bytes.length} bytes, at most ${MAX_MESSAGE}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const op = bytes[0]!;
  if (op !== 1 && op !== 2) throw new DhcpError('op', `op ${op}`, 0);
  if (bytes[1] !== 1 || bytes[2] !== 6)
    throw new DhcpError('hardware', `hardware type ${bytes[1]} with ${bytes[2]}-byte addresses`, 1);
  const cookie = view.getUint32(COOKIE_OFFSET);
  // BOOTP clients that have nothing to say there leave the vendor field empty (RFC 951 section 3).
  if (cookie !== COOKIE && cookie !== 0) throw new DhcpError('cookie', 'no DHCP magic cookie', COOKIE_OFFSET);
  const { options, overload } =
    cookie === 0 ? { options: new Map<number, Uint8Array>(), overload: 0 } : decodeOptions(bytes);
  return {
    op: op === 1 ? 'request' : 'reply',
    hops: bytes[3]!,
    xid: view.getUint32(4),
    secs: view.getUint16(8),
    broadcast: (view.getUint16(10) & 0x8000) !== 0,
    ciaddr: addressFromBytes(bytes, 12),
    yiaddr: addressFromBytes(bytes, 16),
    siaddr: addressFromBytes(bytes, 20),
    giaddr: addressFromBytes(bytes, 24),
    mac: readMac(bytes, 28),
    serverName: overload & OVERLOAD_SNAME ? '' : readTextField(bytes, SNAME),
    file: overload & OVERLOAD_FILE ? '' : readTextField(bytes, FILE),
    options,
  };
}

/** The MAC of whoever sent `bytes`, where these begin as a DHCP message does, whatever is wrong with the rest. */
export function senderOf(bytes: Uint8Array): string | undefined {
  if (bytes.length < OPTIONS_OFFSET || bytes[1] !== 1 || bytes[2] !== 6) return undefined;
  const cookie = new DataView(bytes.buffer, bytes.byteOffset).getUint32(COOKIE_OFFSET);
  return cookie === COOKIE ? readMac(bytes, 28) : undefined;
}

function decodeOptions(bytes: Uint8Array): { options: Options; overload: number } {
  const options: Options = new Map();
  readOptions(copyOf(bytes, OPTIONS_OFFSET, bytes.length), OPTIONS_OFFSET, options);
  const overload = overloadOf(options.get(OPTION.overload));
  // The order of RFC 3396 section 5: options, file, sname.
  if (overload & OVERLOAD_FILE) readField(bytes, FILE, options);
  if (overload & OVERLOAD_SNAME) readField(bytes, SNAME, options);
  options.delete(OPTION.overload);
  return { options, overload };
}

function readField(bytes: Uint8Array, { offset, length }: typeof FILE, into: Options): void {
  readOptions(copyOf(bytes, offset, offset + length), offset, into);
}

/** One copy, out of the memory that small buffers share, in place of one for each option. */
function copyOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const copy = Buffer.allocUnsafe(to - from);
  copy.set(bytes.subarray(from, to));
  return copy;
}

function overloadOf(value: Uint8Array | undefined): number {
  if (value === undefined) return 0;
  if (value.length !== 1 || value[0]! < 1 || value[0]! > 3)
    throw new DhcpError('overload', `option overload holds ${Buffer.from(value).toString('hex')}`);
  return value[0]!;
}

/**
 * The bytes of `message`, at most `limit` of them (UDP payload; DEFAULT_LIMIT or more, or BOOTP_LENGTH for a BOOTP
 * client, which knows no overload). Options go out in the order of the map, but option 82 has its room before all
 * others, at the end: a relay agent that misses it drops the reply, and it is not to be in sname or file (RFC 3046
 * section 2.2). What does not fit the options field goes into sname, then into file as well, whose texts then travel as
 * options 66 and 67, like a file name longer than its field. Where even that is too little, options are left out, later
 * ones first to lose; their codes are in `omitted`.
 */
export function encodeMessage(
  message: DhcpMessage,
  limit = DEFAULT_LIMIT,
): { bytes: Uint8Array; omitted: number[] } {
  const plain = encodeWith(message, limit, 0);
  if (plain.omitted.length === 0 || limit <= BOOTP_LENGTH) return plain;
  // The file field stays a file name as long as possible: boot ROMs that know no overload read only it.
  const sname = encodeWith(message, limit, OVERLOAD_SNAME);
  if (sname.omitted.length === 0) return sname;
  return encodeWith(message, limit, OVERLOAD_SNAME | OVERLOAD_FILE);
}

function encodeWith(
  message: DhcpMessage,
  limit: number,
  overload: number,
): { bytes: Uint8Array; omitted: number[] } {
  const size = limit <= BOOTP_LENGTH ? BOOTP_LENGTH : Math.max(limit, DEFAULT_LIMIT);
  // Out of the memory that small buffers share.
  const memory = Buffer.allocUnsafe(size).fill(0);
  const bytes = new Uint8Array(memory.buffer, memory.byteOffset, size);
  bytes[0] = message.op === 'request' ? 1 : 2;
  bytes[1] = 1;
  bytes[2] = 6;
  bytes[3] = message.hops;
  memory.writeUInt32BE(message.xid, 4);
  memory.writeUInt16BE(message.secs, 8);
  memory.writeUInt16BE(message.broadcast ? 0x8000 : 0, 10);
  memory.writeUInt32BE(ipv4ToNumber(message.ciaddr), 12);
  memory.writeUInt32BE(ipv4ToNumber(message.yiaddr), 16);
  memory.writeUInt32BE(ipv4ToNumber(message.siaddr), 20);
  memory.writeUInt32BE(ipv4ToNumber(message.giaddr), 24);
  writeMac(bytes, 28, message.mac);
  memory.writeUInt32BE(COOKIE, COOKIE_OFFSET);

  let { options } = message;
  const fields = [bytes.subarray(OPTIONS_OFFSET)];
  for (const each of TEXTS) {
    const { bit, field, code } = each;
    const text = message[each.member];
    if (overload & bit) fields.push(bytes.subarray(field.offset, field.offset + field.length));
    // One byte stays for the NUL that ends the text.
    else if (text.length < field.length) {
      if (text !== '') bytes.set(textToBytes(text), field.offset);
      continue;
    }
    if (text !== '' && !options.has(code)) options = promote(options, code, textToBytes(text));
  }
  if (overload !== 0) options = promote(options, OPTION.overload, Uint8Array.of(overload));
  const { omitted, used } = placeOptions(options, fields);
  return { bytes: bytes.subarray(0, Math.max(BOOTP_LENGTH, OPTIONS_OFFSET + used)), omitted };
}

/** `options` with one more right behind the first, the message type, so that it is not among those without room. */
function promote(options: Options, code: number, value: Uint8Array): Options {
  const [first, ...rest] = options;
  return new Map([...(first ? [first] : []), [code, value], ...rest]);
}

function readTextField(bytes: Uint8Array, field: { offset: number; length: number }): string {
  if (bytes[field.offset] === 0) return '';
  const part = bytes.subarray(field.offset, field.offset + field.length);
  const end = part.indexOf(0);
  return textFromBytes(end < 0 ? part : part.subarray(0, end));
}
