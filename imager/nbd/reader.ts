/** Bytes of a stream in the portions a reader asks for. For the handshake, where convenience counts, not speed. */
export class Reader {
  #held: Buffer = Buffer.alloc(0);
  #wanted: { length: number; resolve: (bytes: Buffer) => void; reject: (error: Error) => void } | undefined;
  #ended: Error | undefined;
  readonly #onTaken: () => void;

  /** `onTaken` is called when bytes were taken: there is room for more. */
  constructor(onTaken: () => void) {
    this.#onTaken = onTaken;
  }

  /** Bytes that came and that nobody took yet. */
  get length(): number {
    return this.#held.length;
  }

  feed(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#serve();
  }

  /** No more bytes come: whoever waits gets `error`. */
  end(error: Error): void {
    this.#ended = error;
    this.#serve();
  }

  /** The next `length` bytes. One call at a time. Rejects where the stream ends before. */
  take(length: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#wanted = { length, resolve, reject };
      this.#serve();
    });
  }

  /** All bytes that came and nobody took. */
  rest(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  #serve(): void {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    if (this.#held.length >= wanted.length) {
      this.#wanted = undefined;
      const bytes = this.#held.subarray(0, wanted.length);
      this.#held = this.#held.subarray(wanted.length);
      wanted.resolve(bytes);
      this.#onTaken();
    } else if (this.#ended !== undefined) {
      this.#wanted = undefined;
      wanted.reject(this.#ended);
    }
  }
}
