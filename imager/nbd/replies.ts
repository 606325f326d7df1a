/**
 * Replies on their way to a stream. Those that are made in one turn of the event loop leave together, and neighbours in
 * memory as one piece: a system call for each reply would cost more than all else that is done for it.
 */
import type { FilePart } from '../disks/disk.ts';
import type { Budget } from './budget.ts';
import type { Insert } from './read-pieces.ts';
import type { ReplyMemory } from './reply-memory.ts';
import type { Stream } from './stream.ts';

/** So much leaves at once: the client goes to work on it meanwhile. */
const ENOUGH = 256 * 1024;
const READY = Promise.resolve();

/** Where replies go. */
export interface Replies {
  /** Bytes that were sent and did not leave yet. */
  readonly unsent: number;
  /** Whether parts of files may be sent as they are at present. */
  readonly takesFiles: boolean;
  /** Memory for one reply; its content is arbitrary. */
  reserve(length: number): Buffer;
  /** Takes back a reply that is not to be sent. */
  drop(reply: Buffer): void;
  /** Sends a reply, reserved or not, whose memory is not its maker's any more. */
  send(reply: Buffer): void;
  /**
   * The same where parts of files go in. Throws DiskError where one has not what it had: the connection is over then, for
   * a part of the reply is out.
   */
  sendWith(reply: Buffer, inserts: readonly Insert[]): void;
}

export class StreamReplies implements Replies {
  readonly #stream: Stream;
  readonly #memory: ReplyMemory;
  readonly #budget: Budget;
  readonly #onSent: () => void;
  #ready: Buffer[] = [];
  #readyBytes = 0;
  #handed = 0;
  readonly #flush = (): void => {
    const ready = this.#ready;
    if (ready.length === 0) return;
    this.#ready = [];
    this.#readyBytes = 0;
    for (let i = 0; i < ready.length; ) i = this.#sendNeighbours(ready, i);
    this.#onSent();
  };

  /** `onSent` is called after each turn's replies went to the stream. */
  constructor(stream: Stream, memory: ReplyMemory, budget: Budget, onSent: () => void) {
    this.#stream = stream;
    this.#memory = memory;
    this.#budget = budget;
    this.#onSent = onSent;
  }

  /** Bytes that the system has taken so far. */
  get taken(): number {
    return this.#handed - this.#stream.unsent;
  }

  get unsent(): number {
    return this.#stream.unsent + this.#readyBytes;
  }

  get takesFiles(): boolean {
    return this.#stream.takesFiles;
  }

  reserve(length: number): Buffer {
    return this.#memory.reserve(length);
  }

  drop(reply: Buffer): void {
    this.#memory.release(reply, 1);
  }

  /** With all others that get ready in this turn. */
  send(reply: Buffer): void {
    if (this.#ready.length === 0) void READY.then(this.#flush);
    this.#ready.push(reply);
    this.#readyBytes += reply.length;
    if (this.#readyBytes >= ENOUGH) this.#flush();
  }

  /** Sends the reply at `from` and those that follow it in memory; gives the place of the next one. */
  #sendNeighbours(ready: readonly Buffer[], from: number): number {
    const first = ready[from]!;
    const { buffer, byteOffset } = first;
    let end = byteOffset + first.length;
    let next = from + 1;
    for (; next < ready.length; next++) {
      const reply = ready[next]!;
      if (reply.buffer !== buffer || reply.byteOffset !== end) break;
      end += reply.length;
    }
    const piece = next === from + 1 ? first : Buffer.from(buffer, byteOffset, end - byteOffset);
    this.#sendBytes(piece, () => this.#memory.release(first, next - from));
    return next;
  }

  #sendBytes(bytes: Buffer, sent: () => void): void {
    if (bytes.length === 0) {
      sent();
      return;
    }
    this.#handed += bytes.length;
    this.#budget.add(bytes.length);
    this.#stream.send(bytes, () => {
      this.#budget.give(bytes.length);
      sent();
    });
  }

  /** At once, behind all that is ready. */
  sendWith(reply: Buffer, inserts: readonly Insert[]): void {
    this.#flush();
    let users = inserts.length + 1;
    const used = (): void => {
      if (--users === 0) this.#memory.release(reply, 1);
    };
    let from = 0;
    try {
      for (const { at, part } of inserts) {
        this.#sendPart(reply.subarray(from, at), part, used);
        from = at;
      }
    } catch (error) {
      this.#stream.destroy();
      // Whoever has a part of it yet sends it no more.
      users = Number.POSITIVE_INFINITY;
      this.#memory.release(reply, 1);
      throw error;
    }
    this.#sendBytes(reply.subarray(from), used);
    this.#onSent();
  }

  /**
   * What the system does not take at once of a part is read: what waits to be sent is memory, that counts, and that stays
   * good when the disk is given back.
   */
  #sendPart(before: Buffer, part: FilePart, used: () => void): void {
    const gone = this.#stream.sendFile(before, part);
    this.#handed += gone;
    this.#sendBytes(before.subarray(gone), used);
    const done = Math.max(0, gone - before.length);
    if (done === part.length) return;
    const rest = this.#memory.reserve(part.length - done);
    try {
      part.readNow(rest, done);
    } catch (error) {
      this.#memory.release(rest, 1);
      throw error;
    }
    this.#sendBytes(rest, () => this.#memory.release(rest, 1));
  }
}
