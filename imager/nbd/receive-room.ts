/** The buffer that all streams read into; another one takes its place while somebody keeps what is in it. */

/** Bytes of one read: what one client sends ahead must not keep the others waiting. */
const ROOM_SIZE = 64 * 1024;
/** Buffers kept for when one is held back. */
const MAX_SPARES = 16;

export class ReceiveRoom {
  readonly #use: (bytes: Buffer) => void;
  readonly #spares: KeptBytes[] = [];
  #current: KeptBytes;

  /** `use` is given the buffer to read into, and each that takes its place. */
  constructor(use: (bytes: Buffer) => void) {
    this.#use = use;
    this.#current = fresh();
    use(this.#current.bytes);
  }

  /** What was received last, `length` bytes. */
  first(length: number): Buffer {
    const current = this.#current;
    if (current.first.length !== length) current.first = current.bytes.subarray(0, length);
    return current.first;
  }

  keep(): () => void {
    const kept = this.#current;
    kept.users++;
    return () => {
      kept.users--;
      if (kept.users === 0 && kept !== this.#current && this.#spares.length < MAX_SPARES)
        this.#spares.push(kept);
    };
  }

  /** To be called after each time bytes were received. */
  turn(): void {
    if (this.#current.users === 0) return;
    this.#current = this.#spares.pop() ?? fresh();
    this.#use(this.#current.bytes);
  }
}

interface KeptBytes {
  bytes: Buffer;
  /** The part of it that was asked for last, as most of those are of one length. */
  first: Buffer;
  users: number;
}

function fresh(): KeptBytes {
  const bytes = Buffer.allocUnsafeSlow(ROOM_SIZE);
  return { bytes, first: bytes, users: 0 };
}
