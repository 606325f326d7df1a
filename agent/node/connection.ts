/** TCP connections of the Node host, plain and secured. */
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Connection, Secret } from '../linux/host.ts';
import { HostError } from '../linux/host.ts';
import { hostError } from './errors.ts';

const READ_MAX = 64 * 1024;
const KEEPALIVE_MS = 5000;
const KEY_SIZE = 32;

class SocketConnection implements Connection {
  readonly #socket: Socket;
  #fault: HostError | undefined;
  #waiting: (() => void) | undefined;
  readonly #wake = (): void => this.#waiting?.();
  readonly #broke = (error: Error): void => {
    this.#fault = streamError(error);
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    // In paused mode the stream buffers a little and stops: back-pressure reaches the peer.
    socket.on('readable', this.#wake).on('end', this.#wake).on('close', this.#wake);
    socket.on('error', this.#broke);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((done, fail) => {
      if (this.#socket.destroyed) fail(this.#fault ?? new HostError('EPIPE', 'connection: closed here'));
      else this.#socket.write(bytes, (error) => (error ? fail(streamError(error)) : done()));
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
        this.#waiting = wake;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Gives the socket away, open. */
  release(): Socket {
    const socket = this.#socket;
    socket.off('readable', this.#wake).off('end', this.#wake).off('close', this.#wake);
    return socket.off('error', this.#broke);
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

/** `Host.secure`. */
export function secure(
  connection: Connection,
  { identity, key }: Secret,
  timeoutMs: number,
): Promise<Connection> {
  return new Promise((done, fail) => {
    if (!(connection instanceof SocketConnection))
      throw new HostError('EINVAL', 'the connection was not made by this host');
    if (key.length !== KEY_SIZE) {
      connection.close();
      throw new HostError('EINVAL', `tls: a key of ${key.length} bytes, not ${KEY_SIZE}`);
    }
    const socket = connectTls({
      socket: connection.release(),
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_CHACHA20_POLY1305_SHA256',
      ecdhCurve: 'X25519',
      pskCallback: () => ({ identity, psk: key }),
      // Said, for NODE_TLS_REJECT_UNAUTHORIZED=0 would have another default.
      rejectUnauthorized: true,
      // Asked where a certificate took the place of the key.
      ca: [],
      checkServerIdentity: () => new Error('a certificate in the place of the key'),
    });
    const failed = (error: HostError): void => {
      clearTimeout(timer);
      socket.destroy();
      fail(error);
    };
    const timer = setTimeout(
      () => failed(new HostError('ETIMEDOUT', `tls: no end of the handshake within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const broke = (error: Error): void => failed(handshakeError(error));
    socket.once('error', broke);
    socket.once('secureConnect', () => {
      if (Object.keys(socket.getPeerCertificate()).length > 0)
        return failed(new HostError('EPROTO', 'tls: a certificate in the place of the key'));
      clearTimeout(timer);
      socket.off('error', broke);
      done(new SocketConnection(socket));
    });
  });
}

/** Alerts of a wrong key (Host.secure). OpenSSL has their numbers in its message alone. */
const KEY_ALERT = /\bSSL alert number (?:47|51|115)\b/;

function handshakeError(error: Error): HostError {
  const { code, message } = streamError(error);
  return new HostError(KEY_ALERT.test(error.message) ? 'EKEYREJECTED' : code, message);
}

/** Errors of OpenSSL have codes of its own; in `reason` they say in a few words what their message says in lines. */
function streamError(error: Error & { reason?: string }): HostError {
  const fault = hostError(error);
  return /^E[A-Z0-9]+$/.test(fault.code) && fault.code !== 'EPROTO'
    ? fault
    : new HostError('EPROTO', `tls: ${error.reason ?? fault.message}`);
}
