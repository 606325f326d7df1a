/**
 * The requests in a connection's bytes: found in the chunks as they come, payloads put together, and held back while
 * whoever carries them out has enough.
 */
import type { BufferPool } from './buffer-pool.ts';
import { decodeRequest, ProtocolError, REQUEST_SIZE, type Request } from './codec.ts';

/** What takes requests. The source of their bytes may be any that keeps to these calls. */
export interface RequestSink {
  /** No request is to be begun now; the source hears when to ask again. */
  readonly full: boolean;
  /**
   * A request's header. `none`: it has no payload, or is the last of all. `take`: `write` is called once its payload is
   * there; `skip`: `skipped` is called once its payload was thrown away. Until then no other request is begun.
   */
  begin(request: Request): 'none' | 'take' | 'skip';
  /** A WRITE with all of its payload, which is not changed until `release`, where there is one, is called. */
  write(request: Request, payload: Buffer, release?: () => void): void;
  skipped(): void;
  /** The payload that is waited for will not come. */
  abandoned(): void;
  /** The stream is out of step: nothing more comes. */
  nonsense(error: ProtocolError): void;
}

/** What bytes come from. */
export interface Flow {
  pause(): void;
  resume(): void;
}

interface Unfinished {
  request: Request;
  payload: Buffer;
  /** Bytes of it that are there. */
  length: number;
}

export class Incoming {
  readonly #sink: RequestSink;
  readonly #pool: BufferPool;
  readonly #flow: Flow;
  readonly #head = Buffer.alloc(REQUEST_SIZE);
  #headLength = 0;
  /** A WRITE whose payload is still coming in. */
  #writing: Unfinished | undefined;
  /** Bytes left of a payload that is thrown away. */
  #skipping = 0;
  /** The rest of a chunk that came while the sink was full. */
  #held: Buffer | undefined;
  #resuming = false;
  #halted = false;

  constructor(sink: RequestSink, pool: BufferPool, flow: Flow) {
    this.#sink = sink;
    this.#pool = pool;
    this.#flow = flow;
  }

  /** True while bytes of the stream wait here, and its source is paused. */
  get holding(): boolean {
    return this.#held !== undefined;
  }

  /** True where a request has begun and its client owes the rest of it. */
  get waiting(): boolean {
    return this.#headLength > 0 || this.#writing !== undefined || this.#skipping > 0;
  }

  /** Finds no more requests, and forgets one that did not come in whole. */
  halt(): void {
    if (this.#halted) return;
    this.#halted = true;
    this.#held = undefined;
    if (this.#writing === undefined && this.#skipping === 0) return;
    if (this.#writing !== undefined) this.#pool.giveBack(this.#writing.payload);
    this.#writing = undefined;
    this.#skipping = 0;
    this.#sink.abandoned();
  }

  /** Takes the next bytes of the stream. */
  feed(chunk: Buffer): void {
    if (this.#held !== undefined) {
      this.#held = Buffer.concat([this.#held, chunk]);
      return;
    }
    let at = 0;
    try {
      while (at < chunk.length && !this.#halted) {
        // A WRITE that has begun counts as taken: its payload must come in.
        if (this.#writing === undefined && this.#skipping === 0 && this.#sink.full) {
          this.#held = chunk.subarray(at);
          this.#flow.pause();
          return;
        }
        at = this.#step(chunk, at);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.halt();
      this.#sink.nonsense(error);
    }
  }

  /** The sink may have room again: goes on with the held chunk, in a later turn, so that others get theirs in between. */
  relieved(): void {
    if (this.#held === undefined || this.#resuming || this.#sink.full) return;
    this.#resuming = true;
    setImmediate(() => {
      this.#resuming = false;
      const held = this.#held;
      if (held === undefined) return;
      this.#held = undefined;
      this.feed(held);
      if (this.#held === undefined && !this.#halted) this.#flow.resume();
    });
  }

  /** Consumes some of `chunk` from `at`; gives the place after it. */
  #step(chunk: Buffer, at: number): number {
    const there = chunk.length - at;
    if (this.#skipping > 0) {
      const skipped = Math.min(there, this.#skipping);
      this.#skipping -= skipped;
      if (this.#skipping === 0) this.#sink.skipped();
      return at + skipped;
    }
    if (this.#writing !== undefined) return this.#fill(this.#writing, chunk, at);
    if (this.#headLength === 0 && there >= REQUEST_SIZE)
      return this.#begin(decodeRequest(chunk, at), chunk, at + REQUEST_SIZE);
    const taken = chunk.copy(this.#head, this.#headLength, at);
    this.#headLength += taken;
    if (this.#headLength < REQUEST_SIZE) return at + taken;
    this.#headLength = 0;
    return this.#begin(decodeRequest(this.#head, 0), chunk, at + taken);
  }

  #fill(writing: Unfinished, chunk: Buffer, at: number): number {
    const { request, payload, length } = writing;
    const taken = chunk.copy(payload, length, at);
    writing.length += taken;
    if (writing.length === payload.length) {
      this.#writing = undefined;
      this.#sink.write(request, payload, () => this.#pool.giveBack(payload));
    }
    return at + taken;
  }

  /** Announces a request whose header is complete; `at` is where its payload is in `chunk`. */
  #begin(request: Request, chunk: Buffer, at: number): number {
    const { length } = request;
    const payload = this.#sink.begin(request);
    if (this.#halted || payload === 'none') return at;
    const end = at + length;
    if (payload === 'take' && end <= chunk.length) {
      // Where a chunk is not used again, neither is what is in it.
      this.#sink.write(request, chunk.subarray(at, end));
      return end;
    }
    if (payload === 'take') this.#writing = { request, payload: this.#pool.take(length), length: 0 };
    else if (length > 0) this.#skipping = length;
    else this.#sink.skipped();
    return at;
  }
}
