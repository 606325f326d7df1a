/** TCP connections of the QuickJS host: non-blocking sockets on the event loop. */
import * as bw from 'bw';
import type { Connection } from '../linux/host.ts';
import { HostError } from '../linux/host.ts';
import { POLLIN, POLLOUT, startTimer, stopTimer, unwatch, watch } from './loop.ts';

const READ_MAX = 64 * 1024;
const CLOSED = -1;

export class SocketConnection implements Connection {
  #fd: number;
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
      const bytes = bw.read(this.#fd, READ_MAX);
      if (bytes !== null) return bytes.byteLength > 0 ? new Uint8Array(bytes) : undefined;
      await new Promise<void>((ready) => {
        this.#reading = ready;
        watch(this.#fd, POLLIN, ready);
      });
    }
    return undefined;
  }

  close(): void {
    if (this.#fd !== CLOSED) bw.close(this.release());
  }

  /** The descriptor, which stays this object's. */
  get descriptor(): number {
    if (this.#fd === CLOSED) throw new HostError('EBADF', 'connection: already closed');
    return this.#fd;
  }

  /** Gives the descriptor away, open; this object is closed from here on. */
  release(): number {
    const fd = this.descriptor;
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
      const put = bw.write(this.#fd, bytes.subarray(done));
      if (put >= 0) done += put;
      else
        await new Promise<void>((ready) => {
          this.#writing = ready;
          watch(this.#fd, POLLOUT, ready);
        });
    }
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
