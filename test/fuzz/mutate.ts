/** Valid packets bent out of shape, and noise: what a codec is fuzzed with. Fast, and the same for the same numbers. */
import type { Random } from './random.ts';

export interface Material {
  /** Valid packets. */
  seeds: readonly Uint8Array[];
  /** Bytes that mean something to the codec, put in anywhere. */
  tokens?: readonly Uint8Array[];
  /** Longest packet made. */
  maxLength: number;
}

/** Values at the edges of what fields hold. */
const EDGES = [
  0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
];
/** Bytes in front of the packet: a codec that forgets where its view begins reads them. */
const MARGIN = 64;
const NOISE_ONCE_IN = 16;
const BLOW_UP_ONCE_IN = 1000;

export class Mutator {
  readonly #material: Material;
  readonly #buffer: Uint8Array;
  readonly #spare: Uint8Array;
  #length = 0;

  constructor(material: Material) {
    this.#material = material;
    this.#buffer = new Uint8Array(MARGIN + material.maxLength).subarray(MARGIN);
    this.#spare = new Uint8Array(material.maxLength);
  }

  /** The next packet. Valid until the one after it is made. */
  make(random: Random): Uint8Array {
    if (random.once(NOISE_ONCE_IN)) this.#noise(random);
    else {
      this.#take(this.#pick(random));
      do this.#bend(random);
      while (random.once(2));
      if (random.once(BLOW_UP_ONCE_IN)) this.#blowUp(random);
    }
    return this.#buffer.subarray(0, this.#length);
  }

  #take(bytes: Uint8Array): void {
    this.#length = Math.min(bytes.length, this.#material.maxLength);
    this.#buffer.set(bytes.subarray(0, this.#length));
  }

  #pick(random: Random): Uint8Array {
    return this.#material.seeds[random.below(this.#material.seeds.length)]!;
  }

  /** Lengths from nothing to the longest, short ones more often. */
  #noise(random: Random): void {
    const share = random.below(1000) / 1000;
    const bits = Math.log2(this.#material.maxLength + 1);
    this.#length = Math.floor(2 ** (share * share * bits)) - 1;
    for (let at = 0; at < this.#length; at += 4) {
      const word = random.uint32();
      this.#buffer[at] = word;
      this.#buffer[at + 1] = word >>> 8;
      this.#buffer[at + 2] = word >>> 16;
      this.#buffer[at + 3] = word >>> 24;
    }
  }

  #bend(random: Random): void {
    const at = random.below(this.#length);
    const some = 1 + random.below(random.once(8) ? this.#length : 16);
    switch (random.below(12)) {
      case 0:
      case 1:
        this.#set(at, this.#buffer[at]! ^ (1 << random.below(8)));
        return;
      case 2:
      case 3:
        this.#set(at, random.once(2) ? EDGES[random.below(7)]! : random.below(256));
        return;
      case 4:
      case 5:
        this.#number(at, random);
        return;
      case 6:
        this.#length = at;
        return;
      case 7:
        this.#splice(at, Math.min(some, this.#length - at), this.#buffer.subarray(0, 0));
        return;
      case 8:
        this.#splice(
          random.below(this.#length),
          0,
          this.#buffer.slice(at, Math.min(at + some, this.#length)),
        );
        return;
      case 9: {
        const other = this.#pick(random);
        const from = random.once(2) ? Math.min(at, other.length) : random.below(other.length);
        this.#splice(
          at,
          random.once(2) ? this.#length - at : some,
          other.subarray(from, from + Math.max(some, 32)),
        );
        return;
      }
      case 10: {
        const tokens = this.#material.tokens ?? [];
        const token = tokens[random.below(tokens.length)];
        if (token !== undefined) this.#splice(at, random.once(2) ? token.length : 0, token);
        return;
      }
      case 11:
        this.#splice(this.#length, 0, this.#spare.subarray(0, some).fill(random.once(2) ? 0 : 0xff));
        return;
    }
  }

  #set(at: number, value: number): void {
    if (at < this.#length) this.#buffer[at] = value;
  }

  /** A number of 1, 2 or 4 bytes, either end first: a little more or less, an edge, or the packet's own length. */
  #number(at: number, random: Random): void {
    const width = [1, 2, 2, 4][random.below(4)]!;
    const big = random.once(2);
    const place = (i: number) => at + (big ? width - 1 - i : i);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + (this.#buffer[place(i)] ?? 0);
    const kind = random.below(4);
    if (kind === 0) value += random.below(9) - 4;
    else if (kind === 1) value = EDGES[random.below(EDGES.length)]!;
    else if (kind === 2) value = this.#length - at - random.below(9);
    else value = this.#length + random.below(5) - 2;
    for (let i = 0; i < width; i++) this.#set(place(i), Math.floor(value / 256 ** i));
  }

  /** Puts `bytes`, which may be of this packet, in the place of `count` bytes at `at`. */
  #splice(at: number, count: number, bytes: Uint8Array): void {
    const max = this.#material.maxLength;
    const end = Math.min(this.#length, at + count);
    const to = Math.min(max, at + bytes.length);
    const length = Math.min(max, to + this.#length - end);
    this.#buffer.copyWithin(to, end, end + length - to);
    this.#buffer.set(bytes.subarray(0, to - at), at);
    this.#length = length;
  }

  /** Repeats a piece up to the longest packet: what costs more than its length shows then. */
  #blowUp(random: Random): void {
    const from = random.below(this.#length);
    const piece = this.#buffer.slice(from, Math.min(this.#length, from + 1 + random.below(40)));
    if (piece.length === 0) return;
    const tail = this.#buffer.slice(from, Math.min(this.#length, from + 64));
    let at = from;
    for (; at + piece.length + tail.length <= this.#material.maxLength; at += piece.length)
      this.#buffer.set(piece, at);
    this.#buffer.set(tail, at);
    this.#length = at + tail.length;
  }
}
