/** A row of bits that grows. */
export class Bits {
  #words = new Uint32Array(64);

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0;
  }

  /** True where it was not set before. */
  add(index: number): boolean {
    const at = index >>> 5;
    if (at >= this.#words.length) this.#grow(at + 1);
    const before = this.#words[at]!;
    this.#words[at] = before | (1 << (index & 31));
    return this.#words[at] !== before;
  }

  /** True where it was set before. */
  delete(index: number): boolean {
    const at = index >>> 5;
    const before = this.#words[at] ?? 0;
    if ((before & (1 << (index & 31))) === 0) return false;
    this.#words[at] = before & ~(1 << (index & 31));
    return true;
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** Sets all that are set in `other`. */
  addAll(other: Bits): void {
    if (other.#words.length > this.#words.length) this.#grow(other.#words.length);
    for (const [at, word] of other.#words.entries()) if (word !== 0) this.#words[at]! |= word;
  }

  /** The first bit from `from` on that is not set; `end` where there is none before that. */
  nextClear(from: number, end: number): number {
    for (let index = from; index < end; ) {
      if ((index & 31) === 0 && this.#words[index >>> 5] === 0xffffffff) index += 32;
      else if (this.has(index)) index++;
      else return index;
    }
    return end;
  }

  /** The first bit from `from` on that is set; `end` where there is none before that. */
  nextSet(from: number, end: number): number {
    for (let index = from; index < end; ) {
      if ((index & 31) === 0 && (this.#words[index >>> 5] ?? 0) === 0) index += 32;
      else if (!this.has(index)) index++;
      else return index;
    }
    return end;
  }

  #grow(words: number): void {
    const grown = new Uint32Array(Math.max(words, Math.ceil(this.#words.length * 1.5)));
    grown.set(this.#words);
    this.#words = grown;
  }
}
