/**
 * One GET over HTTP/1.1 from an imager (RFC 9110, RFC 9112), on a connection of its own. No more is kept of an answer than its
 * caller takes: whoever is in the network can send one.
 */
import { joined } from '../protocol/joined.ts';
import { fromLatin1 } from '../protocol/latin1.ts';
import type { Connection, Host } from './host.ts';
import type { ImagerAddress } from './imager-address.ts';

const CONNECT_MS = 1000;
const HEAD_MAX = 16 * 1024;
/** After so many bytes everything else has its turn, which a fast sender would leave none on some hosts. */
const TURN_BYTES = 1024 * 1024;

/** Why an answer is of no use. */
export class HttpError extends Error {}

/** What to ask for, and for how long to wait where nothing comes. */
export interface HttpRequest {
  /** The imager, and the port it serves HTTP on. */
  from: ImagerAddress;
  /** Begins with `/`; of visible characters alone. */
  path: string;
  silenceMs: number;
  /** Called for whatever comes; ends the request with what it throws. */
  goOn?: () => void;
}

/**
 * Gives what `use` makes of the answer, a 200; the connection is closed with that. Rejects with HttpError for another status and
 * for what is no answer, with HostError where nobody answers, and with whatever `use` throws.
 */
export async function httpGet<T>(
  host: Host,
  { from, path, ...waiting }: HttpRequest,
  use: (answer: HttpAnswer) => Promise<T>,
): Promise<T> {
  const connection = await host.connect(from.address, from.port, CONNECT_MS);
  try {
    const request = `GET ${path} HTTP/1.1\r\nHost: ${from.address}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    return await use(await HttpAnswer.begin(host, connection, waiting));
  } finally {
    connection.close();
  }
}

type Waiting = Pick<HttpRequest, 'silenceMs' | 'goOn'>;

export class HttpAnswer {
  readonly #host: Host;
  readonly #connection: Connection;
  readonly #waiting: Waiting;
  #fields = new Map<string, string>();
  /** What came of the body with the head. */
  #rest: Uint8Array = new Uint8Array(0);

  private constructor(host: Host, connection: Connection, waiting: Waiting) {
    this.#host = host;
    this.#connection = connection;
    this.#waiting = waiting;
  }

  static async begin(host: Host, connection: Connection, waiting: Waiting): Promise<HttpAnswer> {
    const answer = new HttpAnswer(host, connection, waiting);
    const [status = '', ...lines] = (await answer.#head()).split('\r\n');
    if (!/^HTTP\/1\.\d 200 /.test(`${status} `)) throw new HttpError(status.slice(0, 80) || 'no answer');
    answer.#fields = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    return answer;
  }

  /** Bytes of the body; undefined where the answer does not say (RFC 9110 section 8.6). */
  get length(): number | undefined {
    const length = this.#fields.get('content-length') ?? '';
    return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  }

  /** The entity tag with its quotes (RFC 9110 section 8.8.3), '' where there is none. */
  get entityTag(): string {
    return this.#fields.get('etag') ?? '';
  }

  /** A body of `length` bytes, in memory as a whole, while nothing else goes on: `Host.receive`. */
  async whole(length: number): Promise<Uint8Array> {
    if (this.#rest.length > length) throw new HttpError('answer is longer than it said');
    const bytes = new Uint8Array(length);
    bytes.set(this.#rest);
    const end = await this.#host.receive(this.#connection, bytes, this.#rest.length, this.#waiting.silenceMs);
    if (end < length) throw new HttpError('answer is cut off');
    return bytes;
  }

  /** A body of `length` bytes as it comes, while all else goes on. Ends with what `take` throws. */
  async pieces(length: number, take: (piece: Uint8Array) => void): Promise<void> {
    let turn = 0;
    for (let got = 0; got < length; ) {
      const piece = this.#rest.length > 0 ? this.#rest : await this.#next();
      this.#rest = new Uint8Array(0);
      got += piece.length;
      if (got > length) throw new HttpError('answer is longer than it said');
      take(piece);
      turn += piece.length;
      if (turn < TURN_BYTES) continue;
      turn = 0;
      await this.#host.sleep(0);
    }
  }

  /** Status line and fields, without the empty line at their end. */
  async #head(): Promise<string> {
    for (;;) {
      const held = joined([this.#rest, await this.#next()]);
      this.#rest = held;
      const text = fromLatin1(held.subarray(0, HEAD_MAX));
      const end = text.indexOf('\r\n\r\n');
      if (end >= 0) {
        this.#rest = held.slice(end + 4);
        return text.slice(0, end);
      }
      if (held.length >= HEAD_MAX) throw new HttpError('answer without an end of its head');
    }
  }

  async #next(): Promise<Uint8Array> {
    let silent = false;
    const timer = setTimeout(() => {
      silent = true;
      this.#connection.close();
    }, this.#waiting.silenceMs);
    try {
      const chunk = await this.#connection.read();
      if (silent) throw new HttpError('the imager sends nothing');
      if (chunk === undefined) throw new HttpError('answer is cut off');
      this.#waiting.goOn?.();
      return chunk;
    } finally {
      clearTimeout(timer);
    }
  }
}
