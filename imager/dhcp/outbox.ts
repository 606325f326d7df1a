/**
 * Replies of one turn of the event loop to relay agents, sent together: a rack that is powered on at once has one relay
 * agent, and half of what a reply costs is its way through the system. Never those to clients themselves, of which many
 * read whole frames from the link (udhcpc, dhclient) and could be given several replies as one by a virtual one.
 */
import type { Sent, UdpSocket } from '../udp/socket.ts';

/** Replies of one turn at most: a relay agent has less room for what comes in than a commit has ACKs. */
const AT_ONCE = 16;

interface Reply {
  bytes: Uint8Array;
  port: number;
  address: string;
  sent: Sent;
}

export class Outbox {
  readonly #socket: UdpSocket;
  #waiting: Reply[] = [];
  #scheduled = false;
  /** How many there were in this turn. */
  #count = 0;
  /** Whether the last turn had more than one: a lone one waits for nothing. */
  #several = false;

  constructor(socket: UdpSocket) {
    this.#socket = socket;
  }

  /** Sends `bytes` within some turns; they must stay as they are until then. `sent` hears the system's error, if any. */
  add(bytes: Uint8Array, port: number, address: string, sent: Sent): void {
    this.#count++;
    if (!this.#scheduled) {
      this.#schedule();
      if (!this.#several) {
        this.#socket.send(bytes, port, address, sent);
        return;
      }
    }
    this.#waiting.push({ bytes, port, address, sent });
  }

  #schedule(): void {
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#several = this.#count > 1;
      this.#count = 0;
      this.flush(AT_ONCE);
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  /** Sends what waits, or so many of them. */
  flush(most = this.#waiting.length): void {
    const waiting = this.#waiting.splice(0, most);
    for (let from = 0, to: number; from < waiting.length; from = to) {
      to = endOfRun(waiting, from);
      const { bytes, port, address, sent } = waiting[from]!;
      if (to === from + 1) this.#socket.send(bytes, port, address, sent);
      else {
        const run = waiting.slice(from, to);
        const all = Buffer.concat(run.map((reply) => reply.bytes));
        this.#socket.sendParts(all, bytes.length, port, address, (error, part) => run[part]!.sent(error));
      }
    }
  }
}

/** Behind the last of those that are as long as the one at `from` and go where it goes; one shorter one may end them. */
function endOfRun(replies: readonly Reply[], from: number): number {
  const { bytes, port, address } = replies[from]!;
  for (let at = from + 1; at < replies.length; at++) {
    const reply = replies[at]!;
    const fits = reply.address === address && reply.port === port && reply.bytes.length <= bytes.length;
    if (!fits) return at;
    if (reply.bytes.length < bytes.length) return at + 1;
  }
  return replies.length;
}
