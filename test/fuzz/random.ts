/** Numbers that look random and are the same each time: splitmix32, which any place of its sequence can be begun at. */
export class Random {
  #state = 0;

  /** Begins the numbers of packet `index` of the run `seed`; other packets are not needed for it. */
  begin(seed: number, index: number): void {
    this.#state = seed | 0;
    this.#state = this.uint32() ^ Math.imul(index, 0x9e3779b1);
    this.#state = this.uint32() ^ index;
  }

  uint32(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = this.#state ^ (this.#state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  /** A whole number of 0 to `end` - 1, or 0. Slightly uneven, which does not matter here. */
  below(end: number): number {
    return end < 2 ? 0 : Math.floor((this.uint32() / 2 ** 32) * end);
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }
}
