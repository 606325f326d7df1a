/** A row of bits that grows. */
export class Bits {
  #words = new Uint32Array(64);
  #count = 0;

  /** How many are set. */
  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0;
  }

  /** True where it was not set before. */
  add(index: number): boolean {
    return this.addRun(index, index + 1) > 0;
  }

  /** True where it was set before. */
  delete(index: number): boolean {
    return this.deleteRun(index, index + 1) > 0;
  }

  /** Sets those from `from` up to, not including, `to`; gives how many of them were not set before. */
  addRun(from: number, to: number): number {
    if (to > 32 * this.#words.length) this.#grow(((to - 1) >>> 5) + 1);
    const before = this.#count;
    for (let at = from; at < to; at = at - (at & 31) + 32) {
      const word = this.#words[at >>> 5]!;
      this.#put(at >>> 5, word | mask(at, to));
    }
    return this.#count - before;
  }

  /** Those from `from` up to, not including, `to` are not set any more; gives how many of them were. */
  deleteRun(from: number, to: number): number {
    const before = this.#count;
    const end = Math.min(to, 32 * this.#words.length);
    for (let at = from; at < end; at = at - (at & 31) + 32) {
      const word = this.#words[at >>> 5]!;
      this.#put(at >>> 5, word & ~mask(at, end));
    }
    return before - this.#count;
  }

  #put(at: number, word: number): void {
    const before = this.#words[at]!;
    this.#words[at] = word;
    this.#count += ones(word) - ones(before);
  }

  clear(): void {
    this.#words.fill(0);
    this.#count = 0;
  }

  /** Sets all that are set in `other`. */
  addAll(other: Bits): void {
    if (other.#words.length > this.#words.length) this.#grow(other.#words.length);
    for (const [at, word] of other.#words.entries()) if (word !== 0) this.#put(at, this.#words[at]! | word);
  }

  /** The first bit from `from` on that is not set; `end` where there is none before that. */
  nextClear(from: number, end: number): number {
    return this.#next(from, end, 0xffffffff);
  }

  /** The first bit from `from` on that is set; `end` where there is none before that. */
  nextSet(from: number, end: number): number {
    return this.#next(from, end, 0);
  }

  /** The first bit from `from` on that is not as in `others`. */
  #next(from: number, end: number, others: number): number {
    for (let at = from; at < end; at = at - (at & 31) + 32) {
      const found = ((this.#words[at >>> 5] ?? 0) ^ others) & (-1 << (at & 31));
      if (found !== 0) return Math.min(end, at - (at & 31) + 31 - Math.clz32(found & -found));
    }
    return end;
  }

  #grow(words: number): void {
    const grown = new Uint32Array(Math.max(words, Math.ceil(this.#words.length * 1.5)));
    grown.set(this.#words);
    this.#words = grown;
  }
}

/** The bits from `from` up to, not including, `to` in the word that has `from`. */
function mask(from: number, to: number): number {
  const left = to - from + (from & 31);
  return (-1 << (from & 31)) & (left < 32 ? -1 >>> (32 - left) : -1);
}

/** How many bits are set. */
function ones(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
