/** TCP connections of the Node host. */
import { createConnection, type Socket } from 'node:net';
import type { Connection } from '../linux/host.ts';
import { HostError } from '../linux/host.ts';
import { hostError } from './errors.ts';

const READ_MAX = 64 * 1024;
const KEEPALIVE_MS = 5000;

class SocketConnection implements Connection {
  readonly #socket: Socket;
  #fault: HostError | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const wake = (): void => this.#wake?.();
    // In paused mode the stream buffers a little and stops: back-pressure reaches the peer.
    socket.on('readable', wake).on('end', wake).on('close', wake);
    socket.on('error', (error) => {
      this.#fault = hostError(error);
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((done, fail) => {
      if (this.#socket.destroyed) fail(this.#fault ?? new HostError('EPIPE', 'connection: closed here'));
      else this.#socket.write(bytes, (error) => (error ? fail(hostError(error)) : done()));
    });
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk: Buffer | null =
        this.#socket.read(Math.min(this.#socket.readableLength, READ_MAX) || undefined) ?? null;
      if (chunk !== null) return new Uint8Array(chunk);
      if (this.#fault !== undefined) throw this.#fault;
      if (this.#socket.readableEnded || this.#socket.destroyed) return undefined;
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Connects to an IPv4 address. Rejects with the HostError of the attempt, ETIMEDOUT after `timeoutMs`. */
export function connect(address: string, port: number, timeoutMs: number): Promise<Connection> {
  return new Promise((done, fail) => {
    const socket = createConnection({ host: address, port, noDelay: true, family: 4 });
    socket.setKeepAlive(true, KEEPALIVE_MS);
    const timer = setTimeout(() => {
      socket.destroy();
      fail(new HostError('ETIMEDOUT', `connect to ${address}:${port}: no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    const failed = (error: Error): void => {
      clearTimeout(timer);
      fail(hostError(error));
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      done(new SocketConnection(socket));
    });
  });
}
