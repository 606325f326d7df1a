/** A bad wire between TFTP clients and a server: loses some packets and repeats some, in both directions. */
import type { Socket } from 'node:dgram';
import { bindUdp, closeUdp } from '../support/udp.ts';

export interface Weather {
  /** Probability that a packet is lost, 0 to 1. */
  loss: number;
  /** Probability that it arrives twice. */
  repeat?: number;
}

interface Flow {
  /** Faces the client; its port is the transfer ID the client sees. */
  toClient: Socket;
  toServer: Socket;
  serverPort: number;
}

const HOST = '127.0.0.1';

export class LossyRelay {
  /** Packets lost so far. */
  lost = 0;
  /** Packets brought from the server to the clients so far. */
  delivered = 0;
  readonly #listener: Socket;
  readonly #server: number;
  readonly #weather: Weather;
  readonly #flows = new Map<number, Promise<Flow>>();
  #random: number;

  private constructor(listener: Socket, server: number, weather: Weather, seed: number) {
    this.#listener = listener;
    this.#server = server;
    this.#weather = weather;
    this.#random = seed;
    listener.on('message', async (bytes, from) => {
      const flow = this.#flows.get(from.port) ?? this.#open(from.port);
      this.#flows.set(from.port, flow);
      const { toServer } = await flow;
      this.#carry(toServer, bytes, this.#server);
    });
  }

  static async open(server: number, weather: Weather, seed = 1): Promise<LossyRelay> {
    return new LossyRelay(await bindUdp(HOST, 0), server, weather, seed);
  }

  get port(): number {
    return this.#listener.address().port;
  }

  async close(): Promise<void> {
    const flows = await Promise.all(this.#flows.values());
    const sockets = [this.#listener, ...flows.flatMap((flow) => [flow.toClient, flow.toServer])];
    await Promise.all(sockets.map(closeUdp));
  }

  async #open(clientPort: number): Promise<Flow> {
    const flow = {
      toClient: await bindUdp(HOST, 0),
      toServer: await bindUdp(HOST, 0),
      serverPort: this.#server,
    };
    flow.toServer.on('message', (bytes, from) => {
      flow.serverPort = from.port;
      this.delivered += this.#carry(flow.toClient, bytes, clientPort);
    });
    flow.toClient.on('message', (bytes) => this.#carry(flow.toServer, bytes, flow.serverPort));
    return flow;
  }

  #carry(socket: Socket, bytes: Uint8Array, port: number): number {
    if (this.#chance() < this.#weather.loss) {
      this.lost++;
      return 0;
    }
    const copies = this.#chance() < (this.#weather.repeat ?? 0) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) socket.send(bytes, port, HOST);
    return copies;
  }

  /** Linear congruential: the same weather in every run, as far as the packets are. */
  #chance(): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return this.#random / 2 ** 32;
  }
}
