/** An NBD client that says exactly what it is told to, right or wrong. */
import { connect, type Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  #held: Buffer[] = [];
  #length = 0;
  #wake: () => void = () => {};
  #over = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#held.push(chunk);
      this.#length += chunk.length;
      this.#wake();
    });
    socket.on('error', () => {});
    this.ended = new Promise((resolve) =>
      socket.once('close', () => {
        this.#over = true;
        this.#wake();
        resolve();
      }),
    );
  }

  /** Connects, from `from` where it matters who asks. */
  static open(port: number, from = '127.0.0.1'): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, localAddress: from, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawClient(socket)));
    });
  }

  /** On a connection that is there already. */
  static on(socket: Socket): RawClient {
    return new RawClient(socket);
  }

  /** Connects and opens an export with NBD_OPT_GO. */
  static async attach(port: number, name: string, from?: string): Promise<RawClient> {
    return RawClient.#agree(await RawClient.open(port, from), [option(7, infoRequest(name))]);
  }

  /** The same with structured replies and metadata contexts. */
  static async attachStructured(port: number, name: string, ...contexts: string[]): Promise<RawClient> {
    const options = [option(8), option(10, contextRequest(name, contexts)), option(7, infoRequest(name))];
    return RawClient.#agree(await RawClient.open(port), options);
  }

  static async #agree(client: RawClient, options: Buffer[]): Promise<RawClient> {
    await client.take(18);
    client.send(CLIENT_FLAGS, ...options);
    for (const _ of options) {
      const last = (await client.optionReplies()).at(-1)!;
      if (last.type !== 1) throw new Error(last.data.toString());
    }
    return client;
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next `length` bytes; rejects where the stream ends before. */
  async take(length: number): Promise<Buffer> {
    while (this.#length < length) {
      if (this.#over) throw new Error(`stream ended with ${this.#length} of ${length} bytes`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const all = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
    this.#held = [all.subarray(length)];
    this.#length -= length;
    return all.subarray(0, length);
  }

  /** Replies to one option, to the acknowledgement or error. */
  async optionReplies(): Promise<{ type: number; data: Buffer }[]> {
    const replies = [];
    for (;;) {
      const head = await this.take(20);
      const type = head.readUInt32BE(12);
      replies.push({ type, data: await this.take(head.readUInt32BE(16)) });
      if (type === 1 || type >= 0x80000000) return replies;
    }
  }

  /** The next chunk of a structured reply. */
  async chunk(): Promise<{ type: number; done: boolean; cookie: number; payload: Buffer }> {
    const head = await this.take(20);
    if (head.readUInt32BE(0) !== 0x668e33ef) throw new Error(`no chunk: ${head.toString('hex')}`);
    return {
      type: head.readUInt16BE(6),
      done: head.readUInt16BE(4) === 1,
      cookie: head.readUInt32BE(12),
      payload: Buffer.from(await this.take(head.readUInt32BE(16))),
    };
  }

  /** The next simple reply; `data` where that many bytes follow a success. */
  async reply(length = 0): Promise<{ cookie: number; error: number; data: Buffer }> {
    const head = await this.take(16);
    if (head.readUInt32BE(0) !== 0x67446698) throw new Error(`no simple reply: ${head.toString('hex')}`);
    const error = head.readUInt32BE(4);
    return {
      cookie: head.readUInt32BE(12),
      error,
      data: error === 0 ? await this.take(length) : Buffer.alloc(0),
    };
  }
}

export const CLIENT_FLAGS = Buffer.from('00000003', 'hex');

export function option(code: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(16);
  head.write('IHAVEOPT', 0, 'latin1');
  head.writeUInt32BE(code, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

export function infoRequest(name: string): Buffer {
  const bytes = Buffer.alloc(6 + Buffer.byteLength(name));
  bytes.writeUInt32BE(Buffer.byteLength(name), 0);
  bytes.write(name, 4);
  return bytes;
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function contextRequest(name: string, queries: string[]): Buffer {
  const number = (value: number): Buffer => Buffer.from(value.toString(16).padStart(8, '0'), 'hex');
  const text = (words: string): Buffer =>
    Buffer.concat([number(Buffer.byteLength(words)), Buffer.from(words)]);
  return Buffer.concat([text(name), number(queries.length), ...queries.map(text)]);
}

/** A request, with its payload where it is a WRITE. */
export function request(o: {
  type: number;
  cookie?: number;
  offset?: number;
  length?: number;
  flags?: number;
  payload?: Buffer;
}): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(0x25609513, 0);
  bytes.writeUInt16BE(o.flags ?? 0, 4);
  bytes.writeUInt16BE(o.type, 6);
  bytes.writeUInt32BE(o.cookie ?? 0, 12);
  bytes.writeBigUInt64BE(BigInt(o.offset ?? 0), 16);
  bytes.writeUInt32BE(o.length ?? o.payload?.length ?? 0, 24);
  return o.payload === undefined ? bytes : Buffer.concat([bytes, o.payload]);
}

export const [READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
