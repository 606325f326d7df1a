/** A serial line in virtual time: one byte after the other at its baud rate, some of them flipped, dropped or doubled. */

export interface NoisyLineOptions {
  baud: number;
  /** The share of bytes that come wrong: a third each flipped, dropped and doubled. */
  noise: number;
  /** 0 to 1, below 1; the same numbers give the same noise. */
  random: () => number;
}

interface Arrival {
  at: number;
  bytes: Uint8Array;
}

/** One direction. Times are milliseconds. */
export class NoisyLine {
  /** Bytes that came wrong so far. */
  wrong = 0;
  readonly #options: NoisyLineOptions;
  #queue: Arrival[] = [];
  #freeAt = 0;

  constructor(options: NoisyLineOptions) {
    this.#options = options;
  }

  /** When the next bytes come out. Infinity: none are on the way. */
  get nextAt(): number {
    return this.#queue[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Bytes go in; they come out whole when the last of them has passed. */
  put(bytes: Uint8Array, now: number): void {
    this.#freeAt = Math.max(this.#freeAt, now) + (bytes.length * 10_000) / this.#options.baud;
    this.#queue.push({ at: this.#freeAt, bytes: this.#spoiled(bytes) });
  }

  /** What has come out by now. */
  take(now: number): Uint8Array[] {
    const out = this.#queue.filter(({ at }) => at <= now);
    this.#queue = this.#queue.slice(out.length);
    return out.map(({ bytes }) => bytes);
  }

  #spoiled(bytes: Uint8Array): Uint8Array {
    const { noise, random } = this.#options;
    const out: number[] = [];
    for (const byte of bytes) {
      if (random() >= noise) {
        out.push(byte);
        continue;
      }
      this.wrong++;
      const kind = Math.floor(random() * 3);
      if (kind === 0) out.push(byte ^ (1 << Math.floor(random() * 8)));
      else if (kind === 1) out.push(byte, byte);
    }
    return Uint8Array.from(out);
  }
}
