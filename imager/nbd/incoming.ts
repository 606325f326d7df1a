/**
 * The requests in a connection's bytes: found in the chunks as they come, payloads put together, and held back while
 * whoever carries them out has enough.
 */
import type { Keep } from '../disks/disk.ts';
import type { BufferPool } from './buffer-pool.ts';
import { CMD, decodeRequest, ProtocolError, REQUEST_SIZE, type Request } from './codec.ts';
import type { Stream } from './stream.ts';

/** What takes requests. The source of their bytes may be any that keeps to these calls. */
export interface RequestSink {
  /** No request is to be begun now; the source hears when to ask again. */
  readonly full: boolean;
  /**
   * A request's header, behind which `there` bytes have come. `none`: it has no payload, or is the last of all. `take`:
   * `write` is called once its payload is there; `wait`: the same, but there is no room for it before `go` is called;
   * `skip`: `skipped` is called once its payload was thrown away. Until then no other request is begun.
   */
  begin(request: Request, there: number, go: () => void): 'none' | 'take' | 'wait' | 'skip';
  /** A WRITE with all of its payload. `keep`: as with Disk.write. */
  write(request: Request, payload: Buffer, keep: Keep): void;
  skipped(): void;
  /** The payload that is waited for will not come. `taken`: its length where it was to be taken, else 0. */
  abandoned(taken: number): void;
  /** The stream is out of step: nothing more comes. */
  nonsense(error: ProtocolError): void;
}

/** What bytes come from. */
export type Source = Pick<Stream, 'pause' | 'resume' | 'fill' | 'stopFilling' | 'keep'>;

/**
 * Work of one turn at most, in bytes, where a request counts for some itself: others have their turn then. One client
 * with many requests in flight is not to keep the others waiting for more than a fraction of a millisecond.
 */
const MAX_TURN = 512 * 1024;
const REQUEST_WORK = 4096;
const NOTHING = Buffer.alloc(0);
/** Bytes of a disk whose state is found out in the time in which one byte is read. */
const LOOKED_AT = 1024;

export class Incoming {
  readonly #sink: RequestSink;
  readonly #pool: BufferPool;
  readonly #source: Source;
  readonly #head = Buffer.alloc(REQUEST_SIZE);
  #headLength = 0;
  /** A WRITE whose payload is still coming in. */
  #writing: Buffer | undefined;
  /** A WRITE whose payload there is no room for yet. */
  #roomless: Request | undefined;
  /** Bytes left of a payload that is thrown away. */
  #skipping = 0;
  /** The rest of a chunk that came while the sink was full, or had no room for the payload in it. */
  #held: Buffer | undefined;
  #resuming = false;
  #halted = false;
  #work = 0;
  readonly #keep: Keep = () => this.#source.keep();
  /** There is room for the payload that is waited for: what came of it goes there. */
  readonly #go = (): void => {
    const request = this.#roomless!;
    const held = this.#held ?? NOTHING;
    this.#roomless = undefined;
    const end = this.#takePayload(request, held, 0);
    this.#held = end < held.length ? held.subarray(end) : undefined;
    if (this.#held !== undefined) this.relieved();
    else if (!this.#halted) this.#source.resume();
  };

  constructor(sink: RequestSink, pool: BufferPool, source: Source) {
    this.#sink = sink;
    this.#pool = pool;
    this.#source = source;
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
    const taken = this.#writing?.length ?? this.#roomless?.length ?? 0;
    if (taken === 0 && this.#skipping === 0) return;
    this.#source.stopFilling();
    if (this.#writing !== undefined) this.#pool.giveBack(this.#writing);
    this.#writing = undefined;
    this.#roomless = undefined;
    this.#skipping = 0;
    this.#sink.abandoned(taken);
  }

  /** Takes the next bytes of the stream. They are not kept longer than the call but by the stream's `keep`. */
  feed(chunk: Buffer): void {
    if (this.#held !== undefined) {
      this.#held = Buffer.concat([this.#held, chunk]);
      return;
    }
    let at = 0;
    this.#work = 0;
    try {
      while (at < chunk.length && !this.#halted) {
        if (this.#skipping === 0 && (this.#work >= MAX_TURN || this.#mustWait)) {
          this.#held = Buffer.from(chunk.subarray(at));
          this.#source.pause();
          this.relieved();
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
    if (this.#held === undefined || this.#resuming || this.#mustWait) return;
    this.#resuming = true;
    setImmediate(() => {
      this.#resuming = false;
      const held = this.#held;
      if (held === undefined) return;
      this.#held = undefined;
      this.feed(held);
      if (this.#held === undefined && !this.#halted) this.#source.resume();
    });
  }

  get #mustWait(): boolean {
    return this.#roomless !== undefined || this.#sink.full;
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
    if (this.#headLength === 0 && there >= REQUEST_SIZE)
      return this.#begin(decodeRequest(chunk, at), chunk, at + REQUEST_SIZE);
    const taken = chunk.copy(this.#head, this.#headLength, at);
    this.#headLength += taken;
    if (this.#headLength < REQUEST_SIZE) return at + taken;
    this.#headLength = 0;
    return this.#begin(decodeRequest(this.#head, 0), chunk, at + taken);
  }

  /** Announces a request whose header is complete; `at` is where its payload is in `chunk`. */
  #begin(request: Request, chunk: Buffer, at: number): number {
    const { length } = request;
    const payload = this.#sink.begin(request, chunk.length - at, this.#go);
    this.#work += REQUEST_WORK;
    if (this.#halted) return at;
    if (payload === 'none') {
      if (request.type === CMD.read) this.#work += length;
      else if (request.type === CMD.blockStatus) this.#work += length / LOOKED_AT;
      return at;
    }
    if (payload === 'take') {
      this.#work += length;
      return this.#takePayload(request, chunk, at);
    }
    if (payload === 'wait') this.#roomless = request;
    else if (length > 0) this.#skipping = length;
    else this.#sink.skipped();
    return at;
  }

  #takePayload(request: Request, chunk: Buffer, at: number): number {
    const end = at + request.length;
    if (end > chunk.length) return this.#fill(request, chunk, at);
    this.#sink.write(request, chunk.subarray(at, end), this.#keep);
    return end;
  }

  /** The rest of the payload is going to come, to where it is to stay. Nothing but that comes before it is there. */
  #fill(request: Request, chunk: Buffer, at: number): number {
    const payload = this.#pool.take(request.length);
    this.#writing = payload;
    const there = chunk.copy(payload, 0, at);
    this.#source.fill(there === 0 ? payload : payload.subarray(there), () => {
      this.#writing = undefined;
      let kept = false;
      this.#sink.write(request, payload, () => {
        kept = true;
        return () => this.#pool.giveBack(payload);
      });
      if (!kept) this.#pool.giveBack(payload);
    });
    return chunk.length;
  }
}
