/**
 * The other end of nodes' paths: answers their datagrams on the agent port (UDP). An answer is as long as what came in and
 * nothing else is answered, so nobody's flood grows here; nor does it get far: answers are few for each address and second.
 */
import { createSocket, type Socket } from 'node:dgram';
import { answerToProbe } from '../../agent/protocol/heartbeat.ts';

const WINDOW_MS = 1000;
/** A node has a few adapters, and asks for each three times in a heartbeat at most. */
const PER_ADDRESS = 64;
const IN_ALL = 20_000;

export class Echo {
  readonly #socket: Socket;
  /** Answers in this window. */
  readonly #answered = new Map<string, number>();
  #total = 0;
  readonly #window: NodeJS.Timeout;
  #closed = false;

  private constructor(socket: Socket, count: (what: string) => void) {
    this.#socket = socket;
    this.#window = setInterval(() => {
      this.#answered.clear();
      this.#total = 0;
    }, WINDOW_MS);
    this.#window.unref();
    socket.on('message', (datagram, { address, port }) => {
      const answer = answerToProbe(datagram);
      if (answer === undefined) count('probe.ignored');
      // Nothing can be sent there: such a datagram is forged, and send() throws.
      else if (port === 0) count('probe.port-zero');
      else if (!this.#may(address)) count('probe.too-many');
      else socket.send(answer, port, address, () => {});
    });
    // What an answer met on its way is the node's to notice.
    socket.on('error', () => count('probe.error'));
  }

  /** Listens. Rejects with the system's error where it cannot. `count` hears why a datagram was not answered. */
  static start(address: string, port: number, count: (what: string) => void): Promise<Echo> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, address, () => {
        socket.off('error', reject);
        resolve(new Echo(socket, count));
      });
    });
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    clearInterval(this.#window);
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #may(address: string): boolean {
    const answered = this.#answered.get(address) ?? 0;
    if (answered >= PER_ADDRESS || this.#total >= IN_ALL) return false;
    this.#answered.set(address, answered + 1);
    this.#total += 1;
    return true;
  }
}
