/** UDP sockets on Node's own `dgram`. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { Sent, UdpListener, UdpOptions, UdpSocket } from './socket.ts';

/** These hear all interfaces: Node has no name for the option that would bind them to one. */
export async function openPlain(options: UdpOptions): Promise<UdpSocket> {
  const { address, port, reuseAddress = false, broadcast = false, receiveBuffer } = options;
  const family = isIPv6(address) ? 6 : 4;
  const socket = createSocket({
    type: `udp${family}`,
    reuseAddr: reuseAddress,
    ...(receiveBuffer === undefined ? {} : { recvBufferSize: receiveBuffer }),
    // Every address here is numeric: answering at once saves a turn of the event loop for each packet sent.
    lookup: (host, _options, done) => done(null, host, family),
  });
  const bound = once(socket, 'listening');
  try {
    socket.bind({ address, port, exclusive: true });
    await bound;
    if (broadcast) socket.setBroadcast(true);
  } catch (error) {
    socket.close();
    throw error;
  }
  return new PlainSocket(socket);
}

class PlainSocket implements UdpSocket {
  readonly port: number;
  readonly device = undefined;
  readonly #socket: Socket;
  #listener: UdpListener | undefined;
  #closed: Promise<void> | undefined;

  readonly #failed: Sent = (error) => {
    if (error !== null) this.#listener?.failed(error);
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.address().port;
    socket.on('message', (bytes, from) => this.#listener?.receive(bytes, from.address, from.port, false, 0));
    socket.on('error', (error) => this.#listener?.failed(error));
  }

  /** A socket that is being closed no longer tells what it has yet to send. */
  get sending(): boolean {
    return this.#closed !== undefined || this.#socket.getSendQueueCount() > 0;
  }

  listen(listener: UdpListener | undefined): void {
    this.#listener = listener;
  }

  send(bytes: Uint8Array, port: number, address: string, sent: Sent = this.#failed): void {
    if (this.#closed === undefined) this.#socket.send(bytes, port, address, sent);
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#socket.close(() => resolve()));
    return this.#closed;
  }
}
