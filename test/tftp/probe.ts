/** A bare UDP socket that speaks TFTP one packet at a time, for what no well-behaved client would do. */
import type { Socket } from 'node:dgram';
import { decodePacket, encodePacket, type Packet } from '../../imager/tftp/codec.ts';
import { bindUdp, closeUdp } from '../support/udp.ts';

export interface Received {
  packet: Packet;
  /** Port it came from: the server's transfer ID. */
  port: number;
}

export class Probe {
  readonly #socket: Socket;
  readonly #waiting: ((received: Received) => void)[] = [];
  readonly #arrived: Received[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes, from) => {
      // Copied: packets may be looked at long after.
      const received = { packet: decodePacket(Uint8Array.from(bytes)), port: from.port };
      const waiter = this.#waiting.shift();
      if (waiter === undefined) this.#arrived.push(received);
      else waiter(received);
    });
  }

  static async open(address = '127.0.0.1'): Promise<Probe> {
    return new Probe(await bindUdp(address, 0));
  }

  send(packet: Packet | Uint8Array, port: number): void {
    const bytes = packet instanceof Uint8Array ? packet : encodePacket(packet);
    this.#socket.send(bytes, port, '127.0.0.1');
  }

  /** Asks for a file. */
  read(port: number, file: string, options: Record<string, string> = {}): void {
    this.send({ type: 'rrq', file, mode: 'octet', options: new Map(Object.entries(options)) }, port);
  }

  ack(block: number, port: number): void {
    this.send({ type: 'ack', block }, port);
  }

  /** The next packet; rejects where none comes within `withinMs`. */
  next(withinMs = 20_000): Promise<Received> {
    const received = this.#arrived.shift();
    if (received !== undefined) return Promise.resolve(received);
    return new Promise((resolve, reject) => {
      const waiter = (found: Received) => {
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new Error(`no packet within ${withinMs} ms`));
      }, withinMs);
      this.#waiting.push(waiter);
    });
  }

  /** Fetches a whole file in lockstep or windows. */
  async fetch(port: number, file: string, options: Record<string, string> = {}): Promise<Buffer> {
    this.read(port, file, options);
    const parts: Uint8Array[] = [];
    let blksize = 512;
    let windowsize = 1;
    for (;;) {
      const { packet, port: tid } = await this.next();
      if (packet.type === 'error') throw new Error(`error ${packet.code}: ${packet.message}`);
      if (packet.type === 'oack') {
        blksize = Number(packet.options.get('blksize') ?? 512);
        windowsize = Number(packet.options.get('windowsize') ?? 1);
        this.ack(0, tid);
      }
      if (packet.type !== 'data') continue;
      const expected = parts.length + 1;
      if (packet.block === (expected & 0xffff)) parts.push(packet.data);
      const ended = packet.data.length < blksize;
      if (ended || parts.length % windowsize === 0) this.ack(packet.block, tid);
      if (ended && parts.length === expected) return Buffer.concat(parts);
    }
  }

  close(): Promise<void> {
    return closeUdp(this.#socket);
  }
}
