/** A connection's byte stream on Node's own socket, plain or TLS. */
import type { Socket } from 'node:net';
import type { Stream, StreamListener } from './stream.ts';

const NOTHING = (): void => undefined;

export class PlainStream implements Stream {
  readonly takesFiles = false;
  readonly #socket: Socket;
  #target: Buffer | undefined;
  #filled: () => void = NOTHING;
  #reached = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Who sends no more is owed the replies to what it sent.
    socket.allowHalfOpen = true;
  }

  get unsent(): number {
    return this.#socket.writableLength;
  }

  listen(listener: StreamListener): void {
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk, listener));
    this.#socket.on('drain', () => listener.drained());
    this.#socket.on('error', (error) => listener.ended(error));
    this.#socket.once('end', () => listener.ended());
    this.#socket.once('close', () => listener.closed());
    this.#socket.resume();
  }

  #take(chunk: Buffer, listener: StreamListener): void {
    const target = this.#target;
    if (target === undefined) {
      listener.receive(chunk);
      return;
    }
    const taken = chunk.copy(target, this.#reached);
    this.#reached += taken;
    if (this.#reached < target.length) return;
    this.#target = undefined;
    this.#filled();
    if (taken < chunk.length) this.#take(chunk.subarray(taken), listener);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  fill(target: Buffer, filled: () => void): void {
    this.#target = target;
    this.#filled = filled;
    this.#reached = 0;
  }

  stopFilling(): void {
    this.#target = undefined;
  }

  /** Node never writes to a chunk again. */
  keep(): () => void {
    return NOTHING;
  }

  send(bytes: Buffer, sent: () => void): void {
    if (this.#socket.writable) this.#socket.write(bytes, sent);
    else sent();
  }

  /** Node has no such call, and TLS would have to read them. */
  sendFile(): number {
    return 0;
  }

  watchQuiet(ms: number, quiet: () => void): void {
    this.#socket.removeAllListeners('timeout');
    this.#socket.setTimeout(ms);
    this.#socket.on('timeout', quiet);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
