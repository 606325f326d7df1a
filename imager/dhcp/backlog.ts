/**
 * DISCOVERs that wait until all else that has come in is answered: those of clients that are no node. A flood of them
 * then costs the nodes nothing, nor those whose REQUEST is the second half of what was begun, and where more come than
 * can be answered, some are answered in time instead of all too late.
 */
import type { DhcpMessage } from './codec.ts';

/** As many as are answered within some tenths of a second: later answers find clients that have asked again. */
const MOST = 1024;
/** Strangers answered between two looks at the sockets, of which each brings 36 messages a socket at most. */
const AT_ONCE = 8;

export class Backlog {
  readonly #waiting = new Map<string, DhcpMessage>();
  readonly #answer: (message: DhcpMessage) => void;
  #scheduled = false;
  /** Those let pass since the sockets were last read. */
  #passed = 0;

  /** `answer` is called from the event loop and must not throw. */
  constructor(answer: (message: DhcpMessage) => void) {
    this.#answer = answer;
  }

  /** True where one more may be answered right away: nobody waits, and few were since the sockets were last read. */
  mayPass(): boolean {
    if (this.#waiting.size > 0 || this.#passed === AT_ONCE) return false;
    this.#passed++;
    this.#schedule();
    return true;
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
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the sockets have been read.
    setImmediate(() => {
      this.#scheduled = false;
      this.#passed = 0;
      let left = AT_ONCE;
      for (const [mac, message] of this.#waiting) {
        if (left-- === 0) break;
        this.#waiting.delete(mac);
        this.#answer(message);
      }
      if (this.#waiting.size > 0) this.#schedule();
    });
  }
}
