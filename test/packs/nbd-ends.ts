/** Both ends of an NBD transmission phase over plain streams, for a relay in between. */
import type { Duplex } from 'node:stream';

export const CMD = { read: 0, write: 1, disc: 2, flush: 3, trim: 4, zeroes: 6 };

/** Bytes of a stream in exact numbers. */
class Bytes {
  #held = Buffer.alloc(0);
  #wake: () => void = () => {};
  #over = false;

  constructor(stream: Duplex) {
    stream.on('data', (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk]);
      this.#wake();
    });
    stream.on('close', () => {
      this.#over = true;
      this.#wake();
    });
    stream.on('end', () => {
      this.#over = true;
      this.#wake();
    });
  }

  /** Undefined at the end of the stream. */
  async take(count: number): Promise<Buffer | undefined> {
    while (this.#held.length < count) {
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }
}

/** What a kernel does: many requests at a time, answers in any order. */
export class KernelEnd {
  readonly #stream: Duplex;
  readonly #waiting = new Map<
    bigint,
    { length: number; done: (data: Buffer | number | undefined) => void }
  >();
  #cookie = 0n;
  /** Resolves when the stream ends. */
  readonly ended: Promise<void>;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.ended = this.#receive();
  }

  /** Resolves with the data (none but of reads), an error number, or undefined where the stream ended before. */
  ask(type: number, offset: number, length: number, payload?: Buffer): Promise<Buffer | number | undefined> {
    const head = Buffer.alloc(28);
    const cookie = ++this.#cookie;
    head.writeUInt32BE(0x25609513, 0);
    head.writeUInt16BE(type, 6);
    head.writeBigUInt64BE(cookie, 8);
    head.writeBigUInt64BE(BigInt(offset), 16);
    head.writeUInt32BE(length, 24);
    this.#stream.write(payload === undefined ? head : Buffer.concat([head, payload]));
    return new Promise((done) => this.#waiting.set(cookie, { length: type === CMD.read ? length : 0, done }));
  }

  async #receive(): Promise<void> {
    const bytes = new Bytes(this.#stream);
    for (;;) {
      const head = await bytes.take(16);
      if (head === undefined) break;
      if (head.readUInt32BE(0) !== 0x67446698) throw new Error(`no reply: ${head.toString('hex')}`);
      const cookie = head.readBigUInt64BE(8);
      const waiting = this.#waiting.get(cookie);
      if (waiting === undefined) throw new Error(`a reply to nothing: ${cookie}`);
      this.#waiting.delete(cookie);
      const error = head.readUInt32BE(4);
      waiting.done(error === 0 ? await bytes.take(waiting.length) : error);
    }
    for (const { done } of this.#waiting.values()) done(undefined);
  }
}

/** A server with its disk in memory that answers when it is let, and not in the order it was asked. */
export class ImagerEnd {
  readonly requests: string[] = [];
  readonly content: Buffer;
  readonly #stream: Duplex;
  readonly #held: (() => void)[] = [];
  #arrived: () => void = () => {};
  /** Answers at once while true. */
  prompt = true;
  readonly ended: Promise<void>;

  constructor(stream: Duplex, content: Buffer) {
    this.#stream = stream;
    this.content = content;
    this.ended = this.#serve();
  }

  /** Answers what was held back, the last first, once there are `count` of them. */
  async release(count: number): Promise<void> {
    while (this.#held.length < count)
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    for (const answer of this.#held.splice(0).reverse()) answer();
  }

  async #serve(): Promise<void> {
    const bytes = new Bytes(this.#stream);
    for (;;) {
      const head = await bytes.take(28);
      if (head === undefined) return;
      if (head.readUInt32BE(0) !== 0x25609513) throw new Error(`no request: ${head.toString('hex')}`);
      const type = head.readUInt16BE(6);
      const offset = Number(head.readBigUInt64BE(16));
      const length = head.readUInt32BE(24);
      const name = Object.entries(CMD).find(([, code]) => code === type)?.[0] ?? type;
      this.requests.push(`${name} ${offset} ${length}`);
      if (type === CMD.disc) return;
      const payload = type === CMD.write ? await bytes.take(length) : undefined;
      if (payload !== undefined) this.content.set(payload, offset);
      if (type === CMD.trim || type === CMD.zeroes) this.content.fill(0, offset, offset + length);
      const bad = offset + length > this.content.length;
      const reply = Buffer.alloc(16);
      reply.writeUInt32BE(0x67446698, 0);
      reply.writeUInt32BE(bad ? 22 : 0, 4);
      head.copy(reply, 8, 8, 16);
      const data =
        type === CMD.read && !bad ? [Buffer.from(this.content.subarray(offset, offset + length))] : [];
      const answer = () => this.#stream.write(Buffer.concat([reply, ...data]));
      if (this.prompt) answer();
      else this.#held.push(answer);
      this.#arrived();
    }
  }
}
