/**
 * Replies on their way to a socket. What counts is the cost of a request, and most of it is the stream layer's, per
 * write: so the replies made in one turn of the event loop leave in one write. Replies are carved from an arena one
 * behind the other, and neighbours that are sent together go as one piece of memory, not as a list.
 */
import type { Socket } from 'node:net';
import type { BufferPool } from './buffer-pool.ts';

const ARENA_SIZE = 256 * 1024;
/** Longer replies come from the pool, and go back to it once they are sent. */
const MAX_CARVED = 64 * 1024;

/** Where replies go. */
export interface Replies {
  /** Bytes that were sent and did not leave yet. */
  readonly unsent: number;
  /** Memory for one reply; its content is arbitrary. */
  reserve(length: number): Buffer;
  /** Takes back a reply that is not to be sent. */
  drop(reply: Buffer): void;
  /** Sends a reply, reserved or not, whose memory is not its maker's any more. */
  send(reply: Buffer): void;
}

/** Replies through a socket: TCP's or TLS'. */
export class SocketReplies implements Replies {
  readonly #socket: Socket;
  readonly #pool: BufferPool;
  readonly #onSent: () => void;
  #arena = Buffer.allocUnsafeSlow(ARENA_SIZE);
  #used = 0;
  #ready: Buffer[] = [];

  /** `onSent` is called after each turn's replies went to the socket. */
  constructor(socket: Socket, pool: BufferPool, onSent: () => void) {
    this.#socket = socket;
    this.#pool = pool;
    this.#onSent = onSent;
  }

  get unsent(): number {
    return this.#socket.writableLength;
  }

  reserve(length: number): Buffer {
    if (length > MAX_CARVED) return this.#pool.take(length);
    if (this.#used + length > ARENA_SIZE) {
      this.#arena = Buffer.allocUnsafeSlow(ARENA_SIZE);
      this.#used = 0;
    }
    this.#used += length;
    return this.#arena.subarray(this.#used - length, this.#used);
  }

  drop(reply: Buffer): void {
    if (this.#pool.owns(reply)) this.#pool.giveBack(reply);
  }

  /** With all others that get ready in this turn. */
  send(reply: Buffer): void {
    if (this.#ready.length === 0) queueMicrotask(() => this.#flush());
    this.#ready.push(reply);
  }

  #flush(): void {
    const pieces = join(this.#ready);
    this.#ready = [];
    if (this.#socket.writable) {
      if (pieces.length > 1) this.#socket.cork();
      for (const piece of pieces) {
        if (this.#pool.owns(piece)) this.#socket.write(piece, () => this.#pool.giveBack(piece));
        else this.#socket.write(piece);
      }
      if (pieces.length > 1) this.#socket.uncork();
    }
    this.#onSent();
  }
}

/** The same bytes in as few pieces as their places in memory allow. */
function join(replies: Buffer[]): Buffer[] {
  const pieces: Buffer[] = [];
  let first = replies[0]!;
  let end = first.byteOffset + first.length;
  const close = (): void => {
    const length = end - first.byteOffset;
    pieces.push(length === first.length ? first : Buffer.from(first.buffer, first.byteOffset, length));
  };
  for (const reply of replies.slice(1)) {
    if (reply.buffer !== first.buffer || reply.byteOffset !== end) {
      close();
      first = reply;
    }
    end = reply.byteOffset + reply.length;
  }
  close();
  return pieces;
}
