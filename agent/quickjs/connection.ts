/** TCP connections of the QuickJS host, plain and secured: non-blocking sockets on the event loop. */
import * as bw from 'bw';
import type { Connection, Secret } from '../linux/host.ts';
import { HostError } from '../linux/host.ts';
import { POLLIN, POLLOUT, startTimer, stopTimer, unwatch, watch } from './loop.ts';

const READ_MAX = 64 * 1024;
const CLOSED = -1;

export class SocketConnection implements Connection {
  #fd: number;
  #session: bw.TlsSession | undefined;
  /** Writes go out whole and in order, however many are asked for at once. */
  #lastWrite: Promise<void> = Promise.resolve();
  #reading: (() => void) | undefined;
  #writing: (() => void) | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(bytes: Uint8Array): Promise<void> {
    const mine = this.#lastWrite.then(() => this.#writeAll(bytes));
    // The next write finds the fault itself; this one is reported to its own caller.
    this.#lastWrite = mine.catch(() => undefined);
    return mine;
  }

  async read(): Promise<Uint8Array | undefined> {
    while (this.#fd !== CLOSED) {
      const bytes = this.#session === undefined ? bw.read(this.#fd, READ_MAX) : bw.tlsRead(this.#session);
      if (bytes !== null) return bytes.byteLength > 0 ? new Uint8Array(bytes) : undefined;
      await this.#readable();
    }
    return undefined;
  }

  /** Client's side of a TLS handshake; from then on what is read and written is secured. Closed where it fails. */
  async secure({ identity, key }: Secret, timeoutMs: number): Promise<void> {
    const fd = this.descriptor;
    const timer = startTimer(() => this.close(), timeoutMs);
    try {
      const session = bw.tlsStart(fd, identity, key);
      for (let wanted = bw.tlsHandshake(session); wanted !== 0; wanted = bw.tlsHandshake(session)) {
        await (wanted === POLLOUT ? this.#writable() : this.#readable());
        if (this.#fd === CLOSED)
          throw new HostError('ETIMEDOUT', `tls: no end of the handshake within ${timeoutMs} ms`);
      }
      this.#session = session;
    } catch (error) {
      this.close();
      throw error;
    } finally {
      stopTimer(timer);
    }
  }

  close(): void {
    if (this.#fd === CLOSED) return;
    if (this.#session !== undefined) bw.tlsEnd(this.#session);
    this.#session = undefined;
    bw.close(this.#forget());
  }

  /** The descriptor, which stays this object's. */
  get descriptor(): number {
    if (this.#fd === CLOSED) throw new HostError('EBADF', 'connection: already closed');
    if (this.#session !== undefined) throw new HostError('EINVAL', 'connection: secured');
    return this.#fd;
  }

  /** Gives the descriptor away, open; this object is closed from here on. */
  release(): number {
    void this.descriptor;
    return this.#forget();
  }

  #forget(): number {
    const fd = this.#fd;
    this.#fd = CLOSED;
    unwatch(fd, POLLIN);
    unwatch(fd, POLLOUT);
    this.#reading?.();
    this.#writing?.();
    return fd;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      if (this.#fd === CLOSED) throw new HostError('EPIPE', 'connection: closed here');
      const rest = bytes.subarray(done);
      const put = this.#session === undefined ? bw.write(this.#fd, rest) : bw.tlsWrite(this.#session, rest);
      if (put >= 0) done += put;
      else await this.#writable();
    }
  }

  #readable(): Promise<void> {
    return new Promise((ready) => {
      this.#reading = ready;
      watch(this.#fd, POLLIN, ready);
    });
  }

  #writable(): Promise<void> {
    return new Promise((ready) => {
      this.#writing = ready;
      watch(this.#fd, POLLOUT, ready);
    });
  }
}

/** Connects to an IPv4 address. Rejects with the HostError of the attempt, ETIMEDOUT after `timeoutMs`. */
export async function connect(address: string, port: number, timeoutMs: number): Promise<SocketConnection> {
  const peer = `${address}:${port}`;
  const fd = bw.connectStart(address, port);
  try {
    await new Promise<void>((decided, fail) => {
      const timer = startTimer(() => {
        unwatch(fd, POLLOUT);
        fail(new HostError('ETIMEDOUT', `connect to ${peer}: no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      watch(fd, POLLOUT, () => {
        stopTimer(timer);
        decided();
      });
    });
    bw.socketError(fd, peer);
  } catch (error) {
    bw.close(fd);
    throw error;
  }
  return new SocketConnection(fd);
}
