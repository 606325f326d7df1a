/**
 * A wire between agents and an imager that knows where messages end: it passes TLS records on one by one (RFC 8446 section 5.1;
 * agents and imagers put each message into a record of its own), can stop at one of them, and can put in what it likes.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { listening } from './listening.ts';

const HEADER = 5;
/** Content type of what is encrypted: messages, and the end of the handshake. */
const APPLICATION_DATA = 23;

export class RecordProxy {
  port = 0;
  readonly #server: Server;
  readonly #from: string;
  readonly #sockets = new Set<Socket>();
  readonly #agents = new Set<Socket>();
  /** Records that imagers have sent, of all connections so far. */
  readonly ofImager: Buffer[] = [];
  #target = 0;
  #left = Number.POSITIVE_INFINITY;
  #cut: () => Promise<void> = async () => {};

  private constructor(from: string) {
    this.#from = from;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** What it passes on comes from the loopback address `from`. */
  static async open(from: string): Promise<RecordProxy> {
    const proxy = new RecordProxy(from);
    proxy.port = await listening(proxy.#server);
    return proxy;
  }

  /** The imager's port. */
  to(port: number): void {
    this.#target = port;
  }

  /** The `at`th record with content from now on, of either side, does not arrive: `cut` is called, then the wire is cut. */
  arm(at: number, cut: () => Promise<void>): void {
    this.#left = at;
    this.#cut = cut;
  }

  /** Whether that record never came. */
  disarm(): boolean {
    const never = this.#left > 0;
    this.#left = Number.POSITIVE_INFINITY;
    return never;
  }

  /** Agents are sent these bytes as if they were the imager's; they come between two records. */
  inject(bytes: Uint8Array): void {
    for (const agent of this.#agents) agent.write(bytes);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(agent: Socket): void {
    const imager = connect({ port: this.#target, host: '127.0.0.1', localAddress: this.#from });
    this.#agents.add(agent);
    agent.once('close', () => this.#agents.delete(agent));
    for (const [one, other] of [
      [agent, imager],
      [imager, agent],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => {});
      one.once('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      let rest: Buffer = Buffer.alloc(0);
      one.on('data', (chunk) => {
        rest = Buffer.concat([rest, chunk]);
        for (; rest.length >= HEADER; ) {
          const end = HEADER + rest.readUInt16BE(3);
          if (rest.length < end) return;
          const record = rest.subarray(0, end);
          rest = rest.subarray(end);
          if (record[0] === APPLICATION_DATA && --this.#left === 0) {
            void this.#cut().then(() => one.destroy());
            return one.pause();
          }
          if (this.#left <= 0) return;
          if (one === imager) this.ofImager.push(record);
          other.write(record);
        }
      });
    }
  }
}
