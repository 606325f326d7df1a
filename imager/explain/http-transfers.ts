/** HTTP requests in a capture, with how each ended, by the TCP connections they were made on. */
import { contentOf } from './content.ts';
import type { Transfer } from './observation.ts';
import type { TcpPacket } from './packet.ts';

const MAX_CONNECTIONS = 10_000;
const MAX_HEAD = 16 * 1024;
const NOT_MODIFIED = 304;
const REQUEST = /^(GET|HEAD) (\S+)/;
/** Without trailers, which servers of boot files send none of. */
const LAST_CHUNK = /(?:^|\r\n)0\r\n\r\n$/;
const STATUS = /^HTTP\/1\.[01] (\d{3})(?: ([^\r\n]*))?/;

interface Connection {
  transfer: Transfer;
  client: string;
  /** The server answered the SYN. */
  open: boolean;
  /** Sequence number of the request, and whether it asks for the head of an answer alone. */
  request: number | undefined;
  headOnly: boolean;
  /** Sequence number of the first byte of the answer, and of its body. */
  begin: number | undefined;
  body: number | undefined;
  /** The body says itself where it ends (RFC 9112 section 7.1). */
  chunked: boolean;
  /** The answer so far, until its head is whole. */
  head: Uint8Array;
}

export class HttpTransfers {
  readonly #open = new Map<string, Connection>();
  readonly #all: { client: string; transfer: Transfer }[] = [];

  take(packet: TcpPacket): void {
    const fromClient = `${packet.from} ${packet.sourcePort} ${packet.to} ${packet.port}`;
    const fromServer = `${packet.to} ${packet.port} ${packet.from} ${packet.sourcePort}`;
    if (packet.syn && !packet.ack) this.#begin(fromClient, packet);
    else if (this.#open.has(fromClient)) this.#clientSays(fromClient, this.#open.get(fromClient)!, packet);
    else if (this.#open.has(fromServer)) this.#serverSays(this.#open.get(fromServer)!, packet);
  }

  /** Connections that came to a request, or to none because nothing answered; with their client's address. */
  all(): { client: string; transfer: Transfer }[] {
    return this.#all.filter(({ transfer }) => transfer.file !== '' || transfer.end === 'unanswered');
  }

  #begin(key: string, packet: TcpPacket): void {
    const known = this.#open.get(key);
    if (known !== undefined && !known.open) {
      known.transfer.requests++;
      known.transfer.lastAt = packet.at;
      return;
    }
    if (this.#all.length >= MAX_CONNECTIONS) return;
    this.#follow(key, packet, false);
  }

  #follow(key: string, { at, frame, from, to, port }: TcpPacket, open: boolean): Connection {
    const transfer: Transfer = {
      kind: 'transfer',
      protocol: 'http',
      at,
      packet: frame,
      lastAt: at,
      file: '',
      server: to,
      port,
      end: 'unanswered',
      requests: 1,
      bytes: 0,
    };
    const made: Connection = {
      ...{ transfer, client: from, open, request: undefined, headOnly: false },
      ...{ begin: undefined, body: undefined, chunked: false, head: new Uint8Array(0) },
    };
    this.#open.set(key, made);
    this.#all.push({ client: from, transfer });
    return made;
  }

  #clientSays(key: string, connection: Connection, packet: TcpPacket): void {
    const { transfer, request } = connection;
    transfer.lastAt = packet.at;
    acknowledge(connection, packet);
    const [, method, file] = REQUEST.exec(textOf(packet.payload)) ?? [];
    if (file === undefined) return;
    // TCP sends again what was not acknowledged in time.
    if (request !== undefined && distance(request, packet.sequence) === 0) {
      if (transfer.end === 'unanswered') transfer.requests++;
      return;
    }
    // The next request on a connection that is kept open is a transfer of its own, the same file or not.
    if (transfer.end === 'open' && transfer.size === undefined) transfer.end = 'done';
    const next = request === undefined ? connection : this.#follow(key, packet, true);
    next.request = packet.sequence;
    next.headOnly = method === 'HEAD';
    Object.assign(next.transfer, { file, at: packet.at, packet: packet.frame, lastAt: packet.at });
  }

  #serverSays(connection: Connection, packet: TcpPacket): void {
    const { transfer } = connection;
    transfer.lastAt = packet.at;
    if (packet.syn) {
      connection.open = true;
      return;
    }
    if (packet.reset && !connection.open) {
      transfer.reset = true;
      return;
    }
    if (transfer.file !== '' && connection.body === undefined && packet.payload.length > 0)
      readHead(connection, packet);
    const ends = packet.fin || (connection.chunked && LAST_CHUNK.test(textOf(packet.payload.subarray(-7))));
    if (transfer.end === 'open' && ends && transfer.size === undefined) transfer.end = 'done';
    else if (transfer.end === 'open' && packet.reset) transfer.end = 'broken';
  }
}

/** Counts what the client has of the body. */
function acknowledge({ transfer, body }: Connection, { ack, reset, acknowledged }: TcpPacket): void {
  if (transfer.end !== 'open') return;
  if (ack && body !== undefined) transfer.bytes = Math.max(transfer.bytes, distance(body, acknowledged));
  if (transfer.size !== undefined && transfer.bytes >= transfer.size) {
    transfer.bytes = transfer.size;
    // Of a file of which a part was asked for.
    transfer.end = transfer.reason === undefined ? 'done' : 'declined';
  } else if (reset) transfer.end = 'broken';
}

/** Takes a piece of the answer's head; once it is whole, what it says. */
function readHead(connection: Connection, packet: TcpPacket): void {
  const { transfer } = connection;
  connection.begin ??= packet.sequence;
  const expected = (connection.begin + connection.head.length) >>> 0;
  if (packet.sequence !== expected || connection.head.length > MAX_HEAD) return;
  const head = new Uint8Array(connection.head.length + packet.payload.length);
  head.set(connection.head);
  head.set(packet.payload, connection.head.length);
  connection.head = head;
  const text = textOf(head);
  const status = STATUS.exec(text);
  if (status === null) return;
  const code = Number(status[1]);
  if (code >= 300 && code !== NOT_MODIFIED) {
    transfer.end = 'refused';
    transfer.code = code;
    transfer.reason = status[2] ?? '';
  } else transfer.end = 'open';
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return;
  connection.body = (connection.begin + end + 4) >>> 0;
  if (transfer.end === 'refused') {
    transfer.reason = errorOf(text.slice(end)) ?? transfer.reason ?? '';
    return;
  }
  const field = (pattern: RegExp) => pattern.exec(text.slice(0, end))?.[1];
  const size = field(/^content-length: *(\d{1,15})\r?$/im);
  if (size !== undefined) transfer.size = Number(size);
  if (connection.headOnly || code === NOT_MODIFIED) {
    transfer.end = 'declined';
    transfer.reason = connection.headOnly ? 'asked for its size alone' : 'it has the file already';
    return;
  }
  transfer.content = contentOf(head.subarray(end + 4));
  connection.chunked = field(/^(transfer-encoding): *chunked\r?$/im) !== undefined;
  const whole = field(/^content-range: *bytes \d+-\d+\/(\d{1,15})\r?$/im);
  if (code === 206 && Number(whole) > Number(size)) transfer.reason = `asked for ${size} of ${whole} bytes`;
}

/** What an answer's JSON says is wrong, as imagers do; most servers send pages for people. */
function errorOf(body: string): string | undefined {
  const text = /"error": *("(?:[^"\\]|\\.)*")/.exec(body)?.[1];
  try {
    return text === undefined ? undefined : String(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** From one sequence number to a later one; 0 where it is not later (RFC 9293 section 3.4). */
function distance(from: number, to: number): number {
  const apart = (to - from) >>> 0;
  return apart < 0x8000_0000 ? apart : 0;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MAX_HEAD)).toString('latin1');
}
