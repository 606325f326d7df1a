/**
 * Memory that the connections of a server share, for data that is being read or written and for replies that their
 * clients have not taken yet. What one connection may hold is small; a thousand that read nothing hold a machine's memory.
 */
export class Budget {
  readonly #limit: number;
  #used = 0;
  readonly #waiting: { bytes: number; go: () => void }[] = [];

  /** `limit` in bytes. A longer request is granted when nothing else is under way. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes that are held. */
  get used(): number {
    return this.#used;
  }

  /** No more should be begun, and somebody may be waiting. */
  get exhausted(): boolean {
    return this.#used >= this.#limit || this.#waiting.length > 0;
  }

  /** Calls `go` once `bytes` are there for it: at once, or when those that asked before have theirs. */
  take(bytes: number, go: () => void): void {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) {
      this.#waiting.push({ bytes, go });
      return;
    }
    this.#used += bytes;
    go();
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#limit;
  }

  /** Counts what is there already. */
  add(bytes: number): void {
    this.#used += bytes;
  }

  /** Gives back what was taken or added. */
  give(bytes: number): void {
    this.#used -= bytes;
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0]!.bytes)) {
      const { bytes: wanted, go } = this.#waiting.shift()!;
      this.#used += wanted;
      go();
    }
  }
}
