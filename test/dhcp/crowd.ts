/** Many DHCP clients at once behind one relay agent on loopback, asking again until they are served as clients do. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type DhcpMessage, decodeMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import { asking, request } from './fakes.ts';

const SERVER = '127.0.0.1';
const RELAY = '127.0.0.2';
const OFFER = 2;
const ACK = 5;

export class Crowd {
  /** The address each MAC has an ACK of. */
  readonly acks = new Map<string, string>();
  readonly #socket: Socket;
  readonly #port: number;
  /** Those that are not served yet, each with what it said last. */
  readonly #asking = new Map<string, Uint8Array>();
  readonly #again: NodeJS.Timeout;
  #heard: () => void = () => {};

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#port = port;
    socket.on('message', (bytes) => this.#take(bytes));
    this.#again = setInterval(() => {
      for (const bytes of this.#asking.values()) this.send(bytes);
    }, 1000);
  }

  /** `port`: the server's, and therefore the relay agent's. */
  static async open(port: number): Promise<Crowd> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    socket.bind(port, RELAY);
    await once(socket, 'listening');
    return new Crowd(socket, port);
  }

  /** Has all of them send their DISCOVER at once. */
  start(macs: readonly string[]): void {
    for (const mac of macs) this.#say(request('discover', { giaddr: RELAY, hops: 1, mac }));
  }

  /** Resolves when so many have their ACK. */
  async served(count: number): Promise<void> {
    while (this.acks.size < count)
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
  }

  /** Resolves when everything that has arrived so far is taken in: a datagram of our own comes after all of it. */
  async drain(): Promise<void> {
    const own = createSocket('udp4');
    const end = new Promise<void>((resolve) => {
      const look = (bytes: Uint8Array) => {
        if (bytes.length !== 1) return;
        this.#socket.off('message', look);
        resolve();
      };
      this.#socket.on('message', look);
    });
    own.send(Uint8Array.of(0), this.#port, RELAY);
    await end;
    own.close();
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.#port, SERVER);
  }

  close(): void {
    clearInterval(this.#again);
    this.#socket.close();
  }

  #say(message: DhcpMessage): void {
    const { bytes } = encodeMessage(message);
    this.#asking.set(message.mac, bytes);
    this.send(bytes);
  }

  #take(bytes: Uint8Array): void {
    if (bytes.length === 1) return;
    const { mac, yiaddr, options } = decodeMessage(bytes);
    // Invented clients and those that are served already do not answer.
    if (!this.#asking.has(mac)) return;
    const type = options.get(53)?.[0];
    if (type === ACK) {
      this.#asking.delete(mac);
      this.acks.set(mac, yiaddr);
      this.#heard();
    } else if (type === OFFER)
      this.#say(request('request', { giaddr: RELAY, hops: 1, mac }, asking(yiaddr, SERVER)));
    else this.#say(request('discover', { giaddr: RELAY, hops: 1, mac }));
  }
}

/** The MAC of client `n` of the group `group`. */
export function macOf(group: number, n: number): string {
  const byte = (value: number) => (value & 0xff).toString(16).padStart(2, '0');
  return `02:${byte(group)}:${byte(n >> 24)}:${byte(n >> 16)}:${byte(n >> 8)}:${byte(n)}`;
}
