/**
 * NBD messages, bytes <-> values. Pure. All integers are big-endian. Section names are those of the protocol's own
 * document (NetworkBlockDevice/nbd, doc/proto.md).
 */

/** "Newstyle negotiation": what the server sends first. */
const INIT_PASSWD = 'NBDMAGIC';
const OPTION_MAGIC = 'IHAVEOPT';
const REPLY_MAGIC_HIGH = 0x0003e889;
const REPLY_MAGIC_LOW = 0x045565a9;
/** "Request message" and "Simple reply message". */
const REQUEST_MAGIC = 0x25609513;
const SIMPLE_REPLY_MAGIC = 0x67446698;

export const HANDSHAKE_FLAGS = { fixedNewstyle: 1, noZeroes: 2 } as const;

/** "Option types". */
export const OPT = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

/** "Option reply types". */
export const REP = { ack: 1, server: 2, info: 3, metaContext: 4 } as const;
export const REP_ERR = {
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  platform: 0x80000004,
  tlsRequired: 0x80000005,
  unknown: 0x80000006,
  shutdown: 0x80000007,
  tooBig: 0x80000009,
} as const;

export const INFO = { export: 0, name: 1, blockSize: 3 } as const;

/** "Transmission flags". */
export const FLAG = {
  hasFlags: 1,
  readOnly: 2,
  sendFlush: 4,
  sendFua: 8,
  sendTrim: 32,
  sendWriteZeroes: 64,
  sendDf: 128,
  canMultiConn: 256,
  sendCache: 1024,
  sendFastZero: 2048,
} as const;

/** "Request types". */
export const CMD = {
  read: 0,
  write: 1,
  disc: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

/** "Command flags". */
export const CMD_FLAG = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16 } as const;

/** "Error values". */
export const ERRNO = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
} as const;

export const CLIENT_FLAGS_SIZE = 4;
export const OPTION_HEADER_SIZE = 16;
export const REQUEST_SIZE = 28;
export const SIMPLE_REPLY_SIZE = 16;

/** "String fields": longest name. */
export const MAX_NAME = 4096;
/** Longest data of an option that is looked at: a name, and what is asked about it. */
export const MAX_OPTION_DATA = 2 * MAX_NAME + 1024;
/** Longest READ or WRITE, the protocol's own default ("Block size constraints"). */
export const MAX_PAYLOAD = 32 * 1024 * 1024;

/** Bytes that are not the NBD protocol. `reason` counts, the message is for people. */
export class ProtocolError extends Error {
  readonly reason: 'magic' | 'flags' | 'option';
  constructor(reason: ProtocolError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What the server says first: "fixed newstyle", and zeroes after NBD_OPT_EXPORT_NAME may be left out. */
export function encodeGreeting(): Buffer {
  const bytes = Buffer.alloc(18);
  bytes.write(INIT_PASSWD + OPTION_MAGIC, 0, 'latin1');
  bytes.writeUInt16BE(HANDSHAKE_FLAGS.fixedNewstyle | HANDSHAKE_FLAGS.noZeroes, 16);
  return bytes;
}

/** The 4 bytes of client flags. Throws ProtocolError for flags the server must hang up on ("Client flags"). */
export function decodeClientFlags(bytes: Buffer): { fixedNewstyle: boolean; noZeroes: boolean } {
  const flags = bytes.readUInt32BE(0);
  if ((flags & ~3) !== 0) throw new ProtocolError('flags', `unknown client flags 0x${flags.toString(16)}`);
  return {
    fixedNewstyle: (flags & HANDSHAKE_FLAGS.fixedNewstyle) !== 0,
    noZeroes: (flags & HANDSHAKE_FLAGS.noZeroes) !== 0,
  };
}

/** The 16 bytes before an option's data. Throws ProtocolError where the magic is wrong. */
export function decodeOptionHeader(bytes: Buffer): { option: number; length: number } {
  if (bytes.toString('latin1', 0, 8) !== OPTION_MAGIC) throw new ProtocolError('magic', 'wrong option magic');
  return { option: bytes.readUInt32BE(8), length: bytes.readUInt32BE(12) };
}

/**
 * Data of NBD_OPT_INFO and NBD_OPT_GO: name and kinds of information wanted. Undefined where lengths do not agree,
 * or the name is no UTF-8 or longer than the protocol allows.
 */
export function decodeInfoRequest(data: Buffer): { name: string; wanted: number[] } | undefined {
  if (data.length < 6) return undefined;
  const nameLength = data.readUInt32BE(0);
  if (nameLength > MAX_NAME || nameLength > data.length - 6) return undefined;
  const name = decodeName(data.subarray(4, 4 + nameLength));
  const count = data.readUInt16BE(4 + nameLength);
  if (name === undefined || data.length !== 6 + nameLength + 2 * count) return undefined;
  const wanted = Array.from({ length: count }, (_, i) => data.readUInt16BE(6 + nameLength + 2 * i));
  return { name, wanted };
}

/**
 * Data of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT: name of the export, and queries. Undefined where
 * lengths do not agree, or a string is no UTF-8 or longer than the protocol allows.
 */
export function decodeMetaContextRequest(data: Buffer): { name: string; queries: string[] } | undefined {
  let at = 0;
  const number = (): number | undefined => {
    at += 4;
    return at <= data.length ? data.readUInt32BE(at - 4) : undefined;
  };
  const text = (): string | undefined => {
    const length = number();
    if (length === undefined || length > data.length - at) return undefined;
    at += length;
    return decodeName(data.subarray(at - length, at));
  };
  const name = text();
  const count = name === undefined ? undefined : number();
  if (name === undefined || count === undefined) return undefined;
  const queries: string[] = [];
  while (queries.length < count) {
    const query = text();
    if (query === undefined) return undefined;
    queries.push(query);
  }
  return at === data.length ? { name, queries } : undefined;
}

/** An export name: undefined where it is too long or no UTF-8 ("String fields"). */
export function decodeName(bytes: Buffer): string | undefined {
  if (bytes.length > MAX_NAME) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** One option reply. */
export function encodeOptionReply(
  option: number,
  type: number,
  data: Uint8Array = new Uint8Array(0),
): Buffer {
  const bytes = Buffer.alloc(20 + data.length);
  bytes.writeUInt32BE(REPLY_MAGIC_HIGH, 0);
  bytes.writeUInt32BE(REPLY_MAGIC_LOW, 4);
  bytes.writeUInt32BE(option, 8);
  bytes.writeUInt32BE(type, 12);
  bytes.writeUInt32BE(data.length, 16);
  bytes.set(data, 20);
  return bytes;
}

/** Data of NBD_REP_SERVER. */
export function encodeServer(name: string): Buffer {
  const text = Buffer.from(name);
  const bytes = Buffer.alloc(4 + text.length);
  bytes.writeUInt32BE(text.length, 0);
  bytes.set(text, 4);
  return bytes;
}

/** Data of NBD_REP_META_CONTEXT. */
export function encodeMetaContext(id: number, name: string): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(name));
  bytes.writeUInt32BE(id, 0);
  bytes.write(name, 4);
  return bytes;
}

/** Data of NBD_REP_INFO with NBD_INFO_EXPORT. */
export function encodeInfoExport(size: number, flags: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(INFO.export, 0);
  bytes.writeBigUInt64BE(BigInt(size), 2);
  bytes.writeUInt16BE(flags, 10);
  return bytes;
}

/** Data of NBD_REP_INFO with NBD_INFO_NAME. */
export function encodeInfoName(name: string): Buffer {
  const text = Buffer.from(name);
  const bytes = Buffer.alloc(2 + text.length);
  bytes.writeUInt16BE(INFO.name, 0);
  bytes.set(text, 2);
  return bytes;
}

/** Data of NBD_REP_INFO with NBD_INFO_BLOCK_SIZE: smallest, preferred and largest request. */
export function encodeInfoBlockSize(minimum: number, preferred: number, maximum: number): Buffer {
  const bytes = Buffer.alloc(14);
  bytes.writeUInt16BE(INFO.blockSize, 0);
  bytes.writeUInt32BE(minimum, 2);
  bytes.writeUInt32BE(preferred, 6);
  bytes.writeUInt32BE(maximum, 10);
  return bytes;
}

/** The answer to NBD_OPT_EXPORT_NAME, which has no header: size, flags, 124 zero bytes unless both sides agreed. */
export function encodeExportNameAnswer(size: number, flags: number, noZeroes: boolean): Buffer {
  const bytes = Buffer.alloc(noZeroes ? 10 : 134);
  bytes.writeBigUInt64BE(BigInt(size), 0);
  bytes.writeUInt16BE(flags, 8);
  return bytes;
}

export interface Request {
  flags: number;
  type: number;
  /** The client's own number for this request, sent back as it came. */
  cookieHigh: number;
  cookieLow: number;
  /** Bytes; above 2^53 the value is inexact, but still far beyond any disk. */
  offset: number;
  length: number;
}

/** The 28 bytes of a request at `at`. Throws ProtocolError where the magic is wrong: the stream is out of step then. */
export function decodeRequest(bytes: Buffer, at: number): Request {
  if (bytes.readUInt32BE(at) !== REQUEST_MAGIC) throw new ProtocolError('magic', 'wrong request magic');
  return {
    flags: bytes.readUInt16BE(at + 4),
    type: bytes.readUInt16BE(at + 6),
    cookieHigh: bytes.readUInt32BE(at + 8),
    cookieLow: bytes.readUInt32BE(at + 12),
    offset: bytes.readUInt32BE(at + 16) * 2 ** 32 + bytes.readUInt32BE(at + 20),
    length: bytes.readUInt32BE(at + 24),
  };
}

/** Writes the 16 bytes of a simple reply to the start of `bytes`. `error` 0 is success; a READ's data follows it. */
export function encodeSimpleReply(bytes: Buffer, request: Request, error: number): void {
  bytes.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  bytes.writeUInt32BE(error, 4);
  bytes.writeUInt32BE(request.cookieHigh, 8);
  bytes.writeUInt32BE(request.cookieLow, 12);
}
