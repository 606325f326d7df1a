/**
 * The transmission phase of one connection: requests are carried out at once and side by side, and answered in the
 * order they are done ("Ordering of messages and writes": free). Where requests come from and where replies go is
 * others' business: incoming.ts, replies.ts.
 *
 * Memory is bounded: while too many bytes or requests are in flight or unsent, no more are taken.
 */
import { type Disk, DiskError, DONE, type Extent, type Keep } from '../disks/disk.ts';
import type { Budget } from './budget.ts';
import { encodeBlockStatus, encodeError } from './chunks.ts';
import {
  CMD,
  CMD_FLAG,
  ERRNO,
  encodeSimpleReply,
  type ProtocolError,
  type Request,
  SIMPLE_REPLY_SIZE,
} from './codec.ts';
import { statusesOf } from './contexts.ts';
import type { RequestSink } from './incoming.ts';
import type { Terms } from './negotiation.ts';
import { Prefetch } from './prefetch.ts';
import type { Insert } from './read-pieces.ts';
import { Reads } from './reads.ts';
import type { Replies } from './replies.ts';
import { type Fault, findFault, type Target } from './validate.ts';

/** No new request is taken while this much is in flight. One request alone may be longer. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024;
/** Nor while this much waits to be sent: what is read when it can leave is still in the processor's cache then. */
const MAX_UNSENT = 512 * 1024;
const MAX_PENDING_REQUESTS = 256;
/** Bytes that a connection may read whatever the others hold: what a kernel asks for at once. */
const OWN_BYTES = 256 * 1024;
/** What one BLOCK_STATUS looks at: 1 GiB takes a millisecond, and 4096 runs a reply of 32 KiB. */
const STATUS_BYTES = 2 ** 30;
const STATUS_RUNS = 4096;

export interface TransmissionEvents {
  /** A request was refused, and why. */
  refused(fault: Fault): void;
  /** A disk operation failed. */
  failed(error: DiskError): void;
  /** The client asked to disconnect. No request is taken any more. */
  disconnect(): void;
  /** What the client sent is no request. No request is taken any more. */
  nonsense(error: ProtocolError): void;
}

export class Transmission implements RequestSink {
  readonly #disk: Disk;
  readonly #terms: Terms;
  readonly #target: Target;
  readonly #replies: Replies;
  readonly #budget: Budget;
  readonly #events: TransmissionEvents;
  readonly #prefetch: Prefetch;
  readonly #reads: Reads;
  /** A refused WRITE whose payload is still coming in. */
  #skipping: { request: Request; fault: Fault } | undefined;
  /** Room for a payload that was asked for last. */
  #wish: { granted: boolean; abandoned: boolean } | undefined;
  #pendingBytes = 0;
  #pending = 0;
  #idle: (() => void)[] = [];
  requests = 0;
  bytesRead = 0;
  bytesWritten = 0;

  constructor(disk: Disk, terms: Terms, replies: Replies, budget: Budget, events: TransmissionEvents) {
    this.#disk = disk;
    this.#terms = terms;
    this.#replies = replies;
    this.#budget = budget;
    this.#events = events;
    this.#target = {
      // It may grow meanwhile.
      get size() {
        return disk.size;
      },
      readOnly: disk.readOnly,
      blockSize: disk.blockSize,
      structured: terms.structured,
      contexts: terms.contexts.length > 0,
    };
    this.#prefetch = new Prefetch(disk, replies, budget);
    this.#reads = new Reads(disk, replies, terms.structured);
  }

  /** Bytes of requests that are under way and of replies that were not taken. */
  get holding(): number {
    return this.#pendingBytes + this.#replies.unsent;
  }

  /** Requests being carried out. */
  get inFlight(): number {
    return this.#pending;
  }

  get full(): boolean {
    const { unsent } = this.#replies;
    if (unsent >= MAX_UNSENT) return true;
    if (this.#pending === 0) return false;
    if (this.#budget.exhausted) return true;
    return this.#pending >= MAX_PENDING_REQUESTS || this.#pendingBytes >= MAX_PENDING_BYTES;
  }

  /** Work that nobody waits for any more is left. */
  halt(): void {
    this.#prefetch.stop();
  }

  /** Resolves once every request that was taken is carried out and its reply handed on. */
  idle(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  begin(request: Request, there: number, go: () => void): 'none' | 'take' | 'wait' | 'skip' {
    this.requests++;
    const { type, length } = request;
    if (type === CMD.disc) {
      this.#events.disconnect();
      return 'none';
    }
    this.#pending++;
    const fault = findFault(request, this.#target);
    if (fault !== undefined) {
      this.#events.refused(fault);
      if (type === CMD.write) {
        this.#skipping = { request, fault };
        return 'skip';
      }
      this.#answer(request, fault.errno, fault.why, fault.offset);
      return 'none';
    }
    if (type !== CMD.write) {
      this.#carryOut(request);
      return 'none';
    }
    this.bytesWritten += length;
    return this.#roomFor(length, there, go);
  }

  /** Room for a payload of which `there` bytes have come. What is there already, or is short, need not wait for it. */
  #roomFor(length: number, there: number, go: () => void): 'take' | 'wait' {
    const own = length <= there || this.holding + length <= OWN_BYTES;
    this.#pendingBytes += length;
    if (own) {
      this.#budget.add(length);
      return 'take';
    }
    const wish = { granted: false, told: false, abandoned: false };
    this.#budget.take(length, () => {
      wish.granted = true;
      if (wish.abandoned) this.#budget.give(length);
      else if (wish.told) go();
    });
    wish.told = true;
    this.#wish = wish;
    return wish.granted ? 'take' : 'wait';
  }

  write(request: Request, payload: Buffer, keep: Keep): void {
    this.#settle(request, payload.length, this.#disk.write(payload, request.offset, keep));
  }

  skipped(): void {
    const { request, fault } = this.#skipping!;
    this.#skipping = undefined;
    this.#answer(request, fault.errno, fault.why, fault.offset);
  }

  abandoned(taken: number): void {
    if (this.#wish?.granted === false) {
      this.#wish.abandoned = true;
      this.#pendingBytes -= taken;
    } else this.#done(taken);
    this.#skipping = undefined;
    this.#pending--;
    this.#leaveIdle();
  }

  nonsense(error: ProtocolError): void {
    this.#events.nonsense(error);
  }

  #carryOut(request: Request): void {
    const { type, flags, offset, length } = request;
    if (type === CMD.read) this.#readInBudget(request);
    else if (type === CMD.flush) this.#settle(request, 0, this.#disk.flush());
    else if (type === CMD.trim) this.#settle(request, 0, this.#disk.trim(offset, length));
    else if (type === CMD.cache) this.#settle(request, 0, this.#prefetch.read(offset, length));
    else if (type === CMD.blockStatus) this.#status(request);
    else {
      const mayTrim = (flags & CMD_FLAG.noHole) === 0;
      this.#settle(request, 0, this.#disk.writeZeroes(offset, length, mayTrim));
    }
  }

  /** What a connection needs to go on at all, it has; more, when the memory of all has room for it. */
  #readInBudget(request: Request): void {
    const { length } = request;
    const own = this.holding + length <= OWN_BYTES;
    this.#pendingBytes += length;
    if (!own) this.#budget.take(length, () => this.#read(request));
    else {
      this.#budget.add(length);
      this.#read(request);
    }
  }

  #read(request: Request): void {
    const { length } = request;
    this.bytesRead += length;
    this.#reads.answer(request, {
      made: (reply, inserts) => {
        this.#done(length);
        this.#reply(reply, inserts);
      },
      failed: (error, offset) => this.#fail(request, length, error, offset),
    });
  }

  #status(request: Request): void {
    const { offset, length, flags } = request;
    const one = (flags & CMD_FLAG.reqOne) !== 0;
    let extents: Extent[];
    try {
      extents = this.#disk.extents(offset, Math.min(length, STATUS_BYTES), STATUS_RUNS);
    } catch (error) {
      this.#fail(request, 0, error);
      return;
    }
    const { contexts } = this.#terms;
    const chunks = contexts.map((context) =>
      encodeBlockStatus(request, context.id, statusesOf(context, extents, one), context === contexts.at(-1)),
    );
    this.#reply(Buffer.concat(chunks));
  }

  /** Answers once `work` is done, and durable where the client wants that (FUA). */
  #settle(request: Request, bytes: number, work: Promise<void>): void {
    const { flags, type } = request;
    const changes = type === CMD.write || type === CMD.trim || type === CMD.writeZeroes;
    const done = changes && (flags & CMD_FLAG.fua) !== 0 ? work.then(() => this.#disk.flush()) : work;
    const answer = (): void => {
      this.#done(bytes);
      this.#answer(request, 0);
    };
    if (done === DONE) answer();
    else done.then(answer, (error: unknown) => this.#fail(request, bytes, error));
  }

  /** Data of a request that is carried out; what is sent of it is counted there. */
  #done(bytes: number): void {
    this.#pendingBytes -= bytes;
    if (bytes > 0) this.#budget.give(bytes);
  }

  #fail(request: Request, bytes: number, error: unknown, offset?: number): void {
    const known = failureOf(error);
    this.#done(bytes);
    this.#events.failed(known);
    this.#answer(request, ERRNO[known.code], known.message, offset);
  }

  /** Success, which a simple reply may tell of for all but a READ; or an error, in words where the client takes them. */
  #answer(request: Request, errno: number, message = '', offset?: number): void {
    if (errno !== 0 && this.#terms.structured) {
      this.#reply(encodeError(request, errno, message, offset));
      return;
    }
    const reply = this.#replies.reserve(SIMPLE_REPLY_SIZE);
    encodeSimpleReply(reply, request, errno);
    this.#reply(reply);
  }

  #reply(reply: Buffer, inserts: readonly Insert[] = []): void {
    this.#pending--;
    try {
      if (inserts.length === 0) this.#replies.send(reply);
      else this.#replies.sendWith(reply, inserts);
    } catch (error) {
      // A part of it is out: no other answer can be given.
      this.#events.failed(failureOf(error));
    }
    this.#leaveIdle();
  }

  #leaveIdle(): void {
    if (this.#pending > 0 || this.#idle.length === 0) return;
    const idle = this.#idle;
    this.#idle = [];
    // Behind the microtask that hands the replies of this turn to the socket.
    queueMicrotask(() => {
      for (const resolve of idle) resolve();
    });
  }
}

function failureOf(error: unknown): DiskError {
  return error instanceof DiskError ? error : new DiskError('EIO', String(error), { cause: error });
}
