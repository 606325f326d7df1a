/**
 * DISCOVERs that wait until all else that has come in is answered: those of clients that are no node. A flood of them
 * then costs the nodes nothing, nor those whose REQUEST is the second half of what was begun, and where more come than
 * can be answered, some are answered in time instead of all too late.
 */
import type { DhcpMessage } from './codec.ts';

/** As many as are answered within some tenths of a second: later answers find clients that have asked again. */
const MOST = 1024;
/** Answered between two looks at the sockets, of which each look brings 32 messages a socket at most. */
const AT_ONCE = 8;

export class Backlog {
  readonly #waiting = new Map<string, DhcpMessage>();
  readonly #answer: (message: DhcpMessage) => void;
  #scheduled = false;

  /** `answer` is called from the event loop and must not throw. */
  constructor(answer: (message: DhcpMessage) => void) {
    this.#answer = answer;
  }

  /** Who asks again while waiting keeps its place: its latest message counts. Gives why a message will not be answered. */
  add(message: DhcpMessage): 'overload' | 'asked-again' | undefined {
    const isWaiting = this.#waiting.has(message.mac);
    if (!isWaiting && this.#waiting.size >= MOST) return 'overload';
    this.#waiting.set(message.mac, message);
    this.#schedule();
    return isWaiting ? 'asked-again' : undefined;
  }

  /** Forgets those who wait. */
  clear(): void {
    this.#waiting.clear();
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    // After the sockets have been read.
    setImmediate(() => {
      this.#scheduled = false;
      let left = AT_ONCE;
      for (const [mac, message] of this.#waiting) {
        if (left-- === 0) break;
        this.#waiting.delete(mac);
        this.#answer(message);
      }
      this.#schedule();
    });
  }
}
