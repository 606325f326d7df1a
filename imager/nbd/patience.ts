/** Whether a client keeps us waiting, seen by looking at its connection from time to time. */
import type { Incoming } from './incoming.ts';
import type { StreamReplies } from './replies.ts';
import type { Transmission } from './transmission.ts';

/** Bytes of its replies that a client has to take from one look to the next. */
const SLOWEST = 64 * 1024;
/** Looks without one request more, while it owes the rest of one: 32 MiB take that long at 30 Mbit/s. */
const LONGEST = 20;

export class Patience {
  readonly #replies: StreamReplies;
  readonly #incoming: Incoming;
  readonly #transmission: Transmission;
  #taken = 0;
  #requests = 0;
  /** Looks in a row that found replies left lying. */
  #slow = 0;
  /** Looks in a row that found the same request unfinished. */
  #unfinished = 0;

  constructor(replies: StreamReplies, incoming: Incoming, transmission: Transmission) {
    this.#replies = replies;
    this.#incoming = incoming;
    this.#transmission = transmission;
  }

  /** Looks; gives the bytes of memory that the client keeps us waiting with, 0 where it does not. */
  look(): number {
    const { taken, unsent } = this.#replies;
    const { requests, holding } = this.#transmission;
    this.#slow = unsent > 0 && taken - this.#taken < SLOWEST ? this.#slow + 1 : 0;
    this.#unfinished = this.#incoming.waiting && requests === this.#requests ? this.#unfinished + 1 : 0;
    this.#taken = taken;
    this.#requests = requests;
    // Replies may just have been sent at the first look.
    return this.#slow > 1 || this.#unfinished > LONGEST ? holding : 0;
  }
}
