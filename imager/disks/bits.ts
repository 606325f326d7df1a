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
    return this.deleteRun(index, index + 1) > 0;
  }

  /** Sets those from `from` up to, not including, `to`. */
  addRun(from: number, to: number): void {
    if (to > 32 * this.#words.length) this.#grow(((to - 1) >>> 5) + 1);
    for (let at = from; at < to; ) {
      const stop = Math.min(to, at - (at & 31) + 32);
      this.#words[at >>> 5]! |= mask(at, stop);
      at = stop;
    }
  }

  /** Those from `from` up to, not including, `to` are not set any more; gives how many of them were. */
  deleteRun(from: number, to: number): number {
    let count = 0;
    for (let at = from; at < Math.min(to, 32 * this.#words.length); ) {
      const stop = Math.min(to, at - (at & 31) + 32);
      const before = this.#words[at >>> 5]!;
      const after = before & ~mask(at, stop);
      if (after !== before) {
        count += ones(before ^ after);
        this.#words[at >>> 5] = after;
      }
      at = stop;
    }
    return count;
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

/** The bits of one word from `from` up to, not including, `to`, which may be the next word's first. */
function mask(from: number, to: number): number {
  return (-1 << (from & 31)) & (-1 >>> (31 - ((to - 1) & 31)));
}

/** How many bits are set. */
function ones(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
