/**
 * Client side of the NBD handshake: fixed newstyle, NBD_OPT_GO, and NBD_OPT_EXPORT_NAME for servers that do not know
 * it (NBD protocol, doc/proto.md of the reference implementation: "Fixed newstyle negotiation", "Option types",
 * "Option reply types"). All numbers on the wire are big-endian.
 */
import type { Connection } from './host.ts';

const NBDMAGIC = 0x4e42444d41474943n;
const IHAVEOPT = 0x49484156454f5054n;
const OLDSTYLE = 0x00420281861253n;
const REPLY_MAGIC = 0x0003e889045565a9n;
const FLAG_FIXED_NEWSTYLE = 1;
const FLAG_NO_ZEROES = 2;
const FLAG_HAS_FLAGS = 1;
const OPT_EXPORT_NAME = 1;
const OPT_GO = 7;
const REP_ACK = 1;
const REP_INFO = 3;
const REP_ERROR = 0x80000000;
const REP_ERR_UNSUP = 0x80000001;
const INFO_EXPORT = 0;
const INFO_BLOCK_SIZE = 3;
const ERRORS: Record<number, string> = {
  2147483649: 'option not known',
  2147483650: 'forbidden by policy',
  2147483651: 'invalid request',
  2147483652: 'not on this platform',
  2147483653: 'TLS required',
  2147483654: 'no such export',
  2147483655: 'server is shutting down',
  2147483656: 'block size request required',
};
/** Names are strings of at most 4096 bytes ("Conventions" and "Values"). */
const NAME_MAX = 4096;
/** Longer than any reply to NBD_OPT_GO a server has reason to send. */
const REPLY_MAX = 64 * 1024;
/** A server that has not answered by then is given up. */
const HANDSHAKE_MS = 10_000;

/** The server is no NBD server, breaks the protocol, or refuses: the message has its own words where it sent some. */
export class NbdHandshakeError extends Error {}

export interface NbdExport {
  sizeBytes: number;
  /** Transmission flags. */
  flags: number;
  /** Preferred block size; 4096 where the server names none ("Block size constraints"). */
  blockSize: number;
  minimumBlockSize: number;
  maximumBlockSize: number;
}

const UNCONSTRAINED = { blockSize: 4096, minimumBlockSize: 1, maximumBlockSize: 32 * 1024 * 1024 };

/** The server's first 18 bytes: two magic numbers and the handshake flags. */
export function parseGreeting(bytes: Uint8Array): { fixed: boolean; noZeroes: boolean } {
  const fields = view(bytes);
  if (bytes.length !== 18) throw new NbdHandshakeError(`greeting of ${bytes.length} bytes, not 18`);
  if (fields.getBigUint64(0) !== NBDMAGIC) throw new NbdHandshakeError('not an NBD server');
  const second = fields.getBigUint64(8);
  if (second === OLDSTYLE) throw new NbdHandshakeError('server speaks oldstyle NBD, which names no exports');
  if (second !== IHAVEOPT) throw new NbdHandshakeError('NBD server with an unknown negotiation');
  const flags = fields.getUint16(16);
  return { fixed: (flags & FLAG_FIXED_NEWSTYLE) !== 0, noZeroes: (flags & FLAG_NO_ZEROES) !== 0 };
}

/** Client flags: exactly what the server offered, as unknown or unoffered ones make it hang up. */
export function encodeClientFlags(greeting: { fixed: boolean; noZeroes: boolean }): Uint8Array {
  const bytes = new Uint8Array(4);
  view(bytes).setUint32(
    0,
    (greeting.fixed ? FLAG_FIXED_NEWSTYLE : 0) | (greeting.noZeroes ? FLAG_NO_ZEROES : 0),
  );
  return bytes;
}

/** NBD_OPT_GO for one export, with a request for its block sizes. */
export function encodeGo(exportName: string): Uint8Array {
  const name = encodeName(exportName);
  const data = new Uint8Array(4 + name.length + 4);
  const fields = view(data);
  fields.setUint32(0, name.length);
  data.set(name, 4);
  fields.setUint16(4 + name.length, 1); // information requests that follow
  fields.setUint16(6 + name.length, INFO_BLOCK_SIZE);
  return encodeOption(OPT_GO, data);
}

/** NBD_OPT_EXPORT_NAME: the end of the negotiation, without a way to say no. */
export function encodeExportName(exportName: string): Uint8Array {
  return encodeOption(OPT_EXPORT_NAME, encodeName(exportName));
}

/** The 20 bytes before the data of a reply to `option`. */
export function parseReplyHeader(bytes: Uint8Array, option: number): { type: number; length: number } {
  const fields = view(bytes);
  if (bytes.length !== 20) throw new NbdHandshakeError(`reply header of ${bytes.length} bytes, not 20`);
  if (fields.getBigUint64(0) !== REPLY_MAGIC) throw new NbdHandshakeError('reply without its magic number');
  if (fields.getUint32(8) !== option)
    throw new NbdHandshakeError(`reply to option ${fields.getUint32(8)}, asked was ${option}`);
  const length = fields.getUint32(16);
  if (length > REPLY_MAX) throw new NbdHandshakeError(`reply of ${length} bytes, at most ${REPLY_MAX}`);
  return { type: fields.getUint32(12), length };
}

/** What an NBD_REP_INFO says of the export; nothing for kinds of information not asked for. */
export function parseInfo(data: Uint8Array): Partial<NbdExport> {
  const fields = view(data);
  if (data.length < 2) throw new NbdHandshakeError(`information of ${data.length} bytes, at least 2`);
  const kind = fields.getUint16(0);
  if (kind === INFO_EXPORT) {
    if (data.length !== 12) throw new NbdHandshakeError(`NBD_INFO_EXPORT of ${data.length} bytes, not 12`);
    return sizeAndFlags(data.subarray(2));
  }
  if (kind !== INFO_BLOCK_SIZE) return {};
  if (data.length !== 14) throw new NbdHandshakeError(`NBD_INFO_BLOCK_SIZE of ${data.length} bytes, not 14`);
  const [minimum, preferred, maximum] = [fields.getUint32(2), fields.getUint32(6), fields.getUint32(10)];
  // "Block size constraints": powers of two, minimum at most 64 KiB, preferred at least 512 and the minimum; the
  // maximum is a multiple of the minimum or 0xffffffff.
  const valid =
    isPowerOfTwo(minimum) &&
    minimum <= 65_536 &&
    isPowerOfTwo(preferred) &&
    preferred >= Math.max(512, minimum) &&
    maximum >= preferred;
  if (!valid) throw new NbdHandshakeError(`block sizes ${minimum}, ${preferred}, ${maximum} make no sense`);
  return { blockSize: preferred, minimumBlockSize: minimum, maximumBlockSize: maximum };
}

/** The first 10 bytes of the answer to NBD_OPT_EXPORT_NAME. */
export function parseExportReply(bytes: Uint8Array): NbdExport {
  return { ...UNCONSTRAINED, ...sizeAndFlags(bytes) };
}

/**
 * Negotiates `exportName` on a fresh connection, which is in transmission phase afterwards. Rejects with
 * NbdHandshakeError or the connection's HostError; the caller closes the connection then.
 */
export async function negotiate(connection: Connection, exportName: string): Promise<NbdExport> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    connection.close();
  }, HANDSHAKE_MS);
  try {
    return await haggle(connection, exportName);
  } catch (error) {
    if (late) throw new NbdHandshakeError(`no answer to the handshake within ${HANDSHAKE_MS / 1000} s`);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function haggle(connection: Connection, exportName: string): Promise<NbdExport> {
  const input = new Input(connection);
  const greeting = parseGreeting(await input.take(18));
  await connection.write(encodeClientFlags(greeting));
  const found = greeting.fixed ? await go(connection, input, exportName) : undefined;
  const result = found ?? (await chooseByName(connection, input, exportName, greeting.noZeroes));
  if (input.left > 0) throw new NbdHandshakeError(`${input.left} bytes after the end of the handshake`);
  if ((result.flags & FLAG_HAS_FLAGS) === 0)
    throw new NbdHandshakeError('transmission flags without NBD_FLAG_HAS_FLAGS');
  return result;
}

/** Undefined where the server does not know NBD_OPT_GO. */
async function go(connection: Connection, input: Input, exportName: string): Promise<NbdExport | undefined> {
  await connection.write(encodeGo(exportName));
  let found: Partial<NbdExport> = {};
  for (;;) {
    const { type, length } = parseReplyHeader(await input.take(20), OPT_GO);
    const data = await input.take(length);
    if (type === REP_ERR_UNSUP) return undefined;
    if (type >= REP_ERROR) throw new NbdHandshakeError(refusal(exportName, type, data));
    if (type === REP_INFO) found = { ...found, ...parseInfo(data) };
    else if (type !== REP_ACK) throw new NbdHandshakeError(`reply of unknown type ${type}`);
    else if (found.sizeBytes === undefined || found.flags === undefined)
      throw new NbdHandshakeError('server agreed without telling the size (NBD_INFO_EXPORT)');
    else return { ...UNCONSTRAINED, ...found, sizeBytes: found.sizeBytes, flags: found.flags };
  }
}

async function chooseByName(
  connection: Connection,
  input: Input,
  exportName: string,
  noZeroes: boolean,
): Promise<NbdExport> {
  await connection.write(encodeExportName(exportName));
  // The server can only hang up on a name it does not have.
  const reply = await input.take(noZeroes ? 10 : 10 + 124, `export "${exportName}" refused`);
  return parseExportReply(reply.subarray(0, 10));
}

function sizeAndFlags(bytes: Uint8Array): { sizeBytes: number; flags: number } {
  const size = view(bytes).getBigUint64(0);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new NbdHandshakeError(`export of ${size} bytes`);
  return { sizeBytes: Number(size), flags: view(bytes).getUint16(8) };
}

function refusal(exportName: string, type: number, data: Uint8Array): string {
  const reason = ERRORS[type] ?? `error ${type - REP_ERROR}`;
  // Printed on a console: a server's text must not move its cursor.
  const words = new TextDecoder()
    .decode(data)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return `export "${exportName}": ${reason}${words === '' ? '' : ` (${words})`}`;
}

function encodeName(exportName: string): Uint8Array {
  const name = new TextEncoder().encode(exportName);
  if (name.length > NAME_MAX) throw new NbdHandshakeError(`export name of ${name.length} bytes`);
  return name;
}

function encodeOption(option: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + data.length);
  const fields = view(bytes);
  fields.setBigUint64(0, IHAVEOPT);
  fields.setUint32(8, option);
  fields.setUint32(12, data.length);
  bytes.set(data, 16);
  return bytes;
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Exact numbers of bytes from a connection that gives them as they come. */
class Input {
  readonly #connection: Connection;
  #buffer = new Uint8Array(0);

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Bytes received and not taken. */
  get left(): number {
    return this.#buffer.length;
  }

  async take(count: number, atEnd = 'server hung up in the handshake'): Promise<Uint8Array> {
    while (this.#buffer.length < count) {
      const chunk = await this.#connection.read();
      if (chunk === undefined) throw new NbdHandshakeError(atEnd);
      const joined = new Uint8Array(this.#buffer.length + chunk.length);
      joined.set(this.#buffer);
      joined.set(chunk, this.#buffer.length);
      this.#buffer = joined;
    }
    const taken = this.#buffer.slice(0, count);
    this.#buffer = this.#buffer.slice(count);
    return taken;
  }
}
