/**
 * The transmission phase of one connection: requests are taken from the chunks as they come, carried out at once
 * and side by side, and answered in the order they are done ("Ordering of messages and writes": free).
 *
 * Memory is bounded: while too many bytes or requests are in flight or unsent, nothing more is read from the socket.
 */
import type { Socket } from 'node:net';
import { type Disk, DiskError } from '../disks/disk.ts';
import { BufferPool } from './buffer-pool.ts';
import {
  CMD,
  CMD_FLAG,
  decodeRequest,
  ERRNO,
  encodeSimpleReply,
  type ProtocolError,
  REQUEST_SIZE,
  type Request,
  SIMPLE_REPLY_SIZE,
} from './codec.ts';
import { Replies } from './replies.ts';
import { type Fault, findFault } from './validate.ts';

/** No new request is taken while this much is in flight or unsent. One request alone may be longer. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024;
const MAX_PENDING_REQUESTS = 256;

export interface TransmissionEvents {
  /** A request was refused, and why. */
  refused(fault: Fault): void;
  /** A disk operation failed. */
  failed(error: DiskError): void;
  /** The client asked to disconnect. Nothing is read any more. */
  disconnect(): void;
  /** What the client sent is no request. Nothing is read any more. */
  nonsense(error: ProtocolError): void;
}

export class Transmission {
  readonly #disk: Disk;
  readonly #socket: Socket;
  readonly #events: TransmissionEvents;
  readonly #pool = new BufferPool();
  readonly #replies: Replies;
  readonly #head = Buffer.alloc(REQUEST_SIZE);
  #headLength = 0;
  /** A WRITE whose payload is still coming in. */
  #writing: { request: Request; payload: Buffer; length: number } | undefined;
  /** A refused WRITE: its payload is thrown away, then it is answered. */
  #skipping: { request: Request; errno: number; left: number } | undefined;
  /** The rest of a chunk that came while too much was in flight. */
  #held: Buffer | undefined;
  #resuming = false;
  #halted = false;
  #pendingBytes = 0;
  #pending = 0;
  #idle: (() => void)[] = [];
  requests = 0;
  bytesRead = 0;
  bytesWritten = 0;

  constructor(disk: Disk, socket: Socket, events: TransmissionEvents) {
    this.#disk = disk;
    this.#socket = socket;
    this.#events = events;
    this.#replies = new Replies(socket, this.#pool, () => this.#relieved());
    socket.on('drain', () => this.#relieved());
  }

  /** Requests being carried out. */
  get inFlight(): number {
    return this.#pending;
  }

  /** Takes no more requests, and forgets one whose payload did not come in whole. */
  halt(): void {
    if (this.#halted) return;
    this.#halted = true;
    this.#held = undefined;
    if (this.#writing === undefined && this.#skipping === undefined) return;
    this.#writing = undefined;
    this.#skipping = undefined;
    this.#pending--;
    this.#leaveIdle();
  }

  /** Resolves once every request that was taken is carried out and its reply handed to the socket. */
  idle(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** True while bytes of the stream wait here, and the socket is paused. */
  get holding(): boolean {
    return this.#held !== undefined;
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
        // A WRITE that has begun counts as in flight itself: its payload must come in.
        if (this.#writing === undefined && this.#skipping === undefined && this.#full()) {
          this.#held = chunk.subarray(at);
          this.#socket.pause();
          return;
        }
        at = this.#step(chunk, at);
      }
    } catch (error) {
      this.halt();
      this.#events.nonsense(error as ProtocolError);
    }
  }

  #full(): boolean {
    if (this.#pending === 0) return this.#socket.writableLength >= MAX_PENDING_BYTES;
    if (this.#pending >= MAX_PENDING_REQUESTS) return true;
    return this.#pendingBytes + this.#socket.writableLength >= MAX_PENDING_BYTES;
  }

  /** Goes on with the held chunk, in a later turn: others get theirs in between. */
  #relieved(): void {
    if (this.#held === undefined || this.#resuming || this.#full()) return;
    this.#resuming = true;
    setImmediate(() => {
      this.#resuming = false;
      const held = this.#held;
      if (held === undefined) return;
      this.#held = undefined;
      this.feed(held);
      if (this.#held === undefined && !this.#halted) this.#socket.resume();
    });
  }

  /** Consumes some of `chunk` from `at`; gives the place after it. */
  #step(chunk: Buffer, at: number): number {
    const there = chunk.length - at;
    if (this.#skipping !== undefined) {
      const skipped = Math.min(there, this.#skipping.left);
      this.#skipping.left -= skipped;
      if (this.#skipping.left === 0) this.#finishSkipping();
      return at + skipped;
    }
    if (this.#writing !== undefined) {
      const { request, payload, length } = this.#writing;
      const taken = chunk.copy(payload, length, at);
      this.#writing.length += taken;
      if (this.#writing.length === payload.length) {
        this.#writing = undefined;
        const writing = this.#disk.write(payload, request.offset);
        this.#settle(
          request,
          payload.length,
          writing.finally(() => this.#pool.giveBack(payload)),
        );
      }
      return at + taken;
    }
    if (this.#headLength === 0 && there >= REQUEST_SIZE)
      return this.#begin(decodeRequest(chunk, at), chunk, at + REQUEST_SIZE);
    const taken = chunk.copy(this.#head, this.#headLength, at);
    this.#headLength += taken;
    if (this.#headLength < REQUEST_SIZE) return at + taken;
    this.#headLength = 0;
    return this.#begin(decodeRequest(this.#head, 0), chunk, at + taken);
  }

  #finishSkipping(): void {
    const { request, errno } = this.#skipping!;
    this.#skipping = undefined;
    this.#answer(request, errno);
  }

  /** Starts a request whose header is complete; `at` is where its payload is in `chunk`. */
  #begin(request: Request, chunk: Buffer, at: number): number {
    this.requests++;
    if (request.type === CMD.disc) {
      this.halt();
      this.#events.disconnect();
      return at;
    }
    const fault = findFault(request, this.#disk);
    if (fault !== undefined) {
      this.#events.refused(fault.fault);
      return this.#refuse(request, fault.errno, at);
    }
    if (request.type === CMD.write) return this.#beginWrite(request, chunk, at);
    this.#carryOut(request);
    return at;
  }

  #refuse(request: Request, errno: number, at: number): number {
    this.#pending++;
    if (request.type === CMD.write && request.length > 0)
      this.#skipping = { request, errno, left: request.length };
    else this.#answer(request, errno);
    return at;
  }

  #beginWrite(request: Request, chunk: Buffer, at: number): number {
    this.#pending++;
    this.#pendingBytes += request.length;
    this.bytesWritten += request.length;
    const end = at + request.length;
    if (end <= chunk.length) {
      this.#settle(request, request.length, this.#disk.write(chunk.subarray(at, end), request.offset));
      return end;
    }
    this.#writing = { request, payload: this.#pool.take(request.length), length: 0 };
    return at;
  }

  #carryOut(request: Request): void {
    const { type, offset, length } = request;
    this.#pending++;
    if (type === CMD.read) this.#read(request);
    else if (type === CMD.flush) this.#settle(request, 0, this.#disk.flush());
    else if (type === CMD.trim) this.#settle(request, 0, this.#disk.trim(offset, length));
    else {
      const mayTrim = (request.flags & CMD_FLAG.noHole) === 0;
      this.#settle(request, 0, this.#disk.writeZeroes(offset, length, mayTrim));
    }
  }

  #read(request: Request): void {
    const { length } = request;
    this.#pendingBytes += length;
    this.bytesRead += length;
    const reply = this.#replies.reserve(SIMPLE_REPLY_SIZE + length);
    this.#disk.read(reply.subarray(SIMPLE_REPLY_SIZE), request.offset).then(
      () => {
        this.#pendingBytes -= length;
        encodeSimpleReply(reply, request, 0);
        this.#reply(reply);
      },
      (error: unknown) => {
        this.#replies.drop(reply);
        this.#fail(request, length, error);
      },
    );
  }

  /** Answers once `work` is done, and durable where the client wants that (FUA). */
  #settle(request: Request, bytes: number, work: Promise<void>): void {
    const fua = (request.flags & CMD_FLAG.fua) !== 0 && request.type !== CMD.flush;
    const done = fua ? work.then(() => this.#disk.flush()) : work;
    done.then(
      () => {
        this.#pendingBytes -= bytes;
        this.#answer(request, 0);
      },
      (error: unknown) => this.#fail(request, bytes, error),
    );
  }

  #fail(request: Request, bytes: number, error: unknown): void {
    const known = error instanceof DiskError ? error : new DiskError('EIO', String(error), { cause: error });
    this.#pendingBytes -= bytes;
    this.#events.failed(known);
    this.#answer(request, ERRNO[known.code]);
  }

  #answer(request: Request, errno: number): void {
    const reply = this.#replies.reserve(SIMPLE_REPLY_SIZE);
    encodeSimpleReply(reply, request, errno);
    this.#reply(reply);
  }

  #reply(reply: Buffer): void {
    this.#pending--;
    this.#replies.send(reply);
    this.#leaveIdle();
  }

  #leaveIdle(): void {
    if (this.#pending > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    // Behind the microtask that hands the replies of this turn to the socket.
    queueMicrotask(() => {
      for (const resolve of idle) resolve();
    });
  }
}
