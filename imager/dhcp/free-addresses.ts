/**
 * The addresses of a pool in the order in which they became free, so that giving one away never searches the pool: a
 * binary heap over all of them, keyed by the time from which each is free, with the place of each in the heap.
 */
import { ipv4ToNumber, numberToIpv4 } from '../../agent/protocol/ipv4.ts';
import { addressText } from './ipv4.ts';
import { indexIn } from './networks.ts';

export class FreeAddresses {
  readonly #pool: Uint32Array;
  /** By index in the pool: milliseconds since the epoch, 0 for never given away. */
  readonly #freeAt: Float64Array;
  /** Indexes in the pool; each entry is free no later than its children at 2i + 1 and 2i + 2. */
  readonly #heap: Uint32Array;
  /** By index in the pool: where it is in the heap. */
  readonly #place: Uint32Array;

  /** `pool` ascending; `freeAt` says from when an address is free. */
  constructor(pool: Uint32Array, freeAt: (address: string) => number) {
    this.#pool = pool;
    this.#freeAt = Float64Array.from(pool, (number) => freeAt(numberToIpv4(number)));
    this.#heap = Uint32Array.from(pool, (_, index) => index);
    this.#heap.sort((a, b) => this.#freeAt[a]! - this.#freeAt[b]! || a - b);
    this.#place = new Uint32Array(pool.length);
    this.#heap.forEach((index, place) => {
      this.#place[index] = place;
    });
  }

  /** `address` is free from `time` on. Nothing happens where it is not of the pool. */
  update(address: string, time: number): void {
    const index = indexIn(this.#pool, ipv4ToNumber(address));
    if (index === undefined || this.#freeAt[index] === time) return;
    this.#freeAt[index] = time;
    this.#rise(this.#place[index]!);
    this.#sink(this.#place[index]!);
  }

  /** The addresses free at `now`, the one free for longest first. The pool must not change while this is read. */
  *oldest(now: number): Generator<string> {
    if (this.#heap.length === 0) return;
    // Places whose parents have been given out: the next in order is among them.
    const frontier = [0];
    while (frontier.length > 0) {
      let best = 0;
      for (let i = 1; i < frontier.length; i++) if (this.#isBefore(frontier[i]!, frontier[best]!)) best = i;
      const place = frontier[best]!;
      const index = this.#heap[place]!;
      if (this.#freeAt[index]! > now) return;
      yield addressText(this.#pool[index]!);
      frontier.splice(best, 1);
      for (const child of [2 * place + 1, 2 * place + 2]) if (child < this.#heap.length) frontier.push(child);
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [left, right] = [this.#heap[a]!, this.#heap[b]!];
    const difference = this.#freeAt[left]! - this.#freeAt[right]!;
    return difference < 0 || (difference === 0 && left < right);
  }

  #rise(from: number): void {
    for (let place = from; place > 0; ) {
      const parent = (place - 1) >> 1;
      if (!this.#isBefore(place, parent)) return;
      this.#swap(place, parent);
      place = parent;
    }
  }

  #sink(from: number): void {
    for (let place = from; ; ) {
      let least = place;
      for (const child of [2 * place + 1, 2 * place + 2])
        if (child < this.#heap.length && this.#isBefore(child, least)) least = child;
      if (least === place) return;
      this.#swap(place, least);
      place = least;
    }
  }

  #swap(a: number, b: number): void {
    const [left, right] = [this.#heap[a]!, this.#heap[b]!];
    this.#heap[a] = right;
    this.#heap[b] = left;
    this.#place[right] = a;
    this.#place[left] = b;
  }
}
