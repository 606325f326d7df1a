/**
 * Memory for long payloads, used again. Fresh memory costs a page fault every 4 KiB and a collector run now and
 * then, which is more than the copying of the bytes: sequential reads of 256 KiB are half as fast without this.
 */

/** Bytes kept for later; all connections of a server have one pool. */
const MAX_SPARE_BYTES = 64 * 1024 * 1024;

/** Sizes are rounded up to this, so that a payload fits where another was. */
const PAGE = 4096;
/**
 * Bytes before a buffer: with the 16 that the C library has before memory of this length, which begins a page, it is at a
 * multiple of 64. Bytes that are to go to, or come from, pages of a file at nearly, but not quite, the same place of a page are
 * copied slowly: 256 KiB in 47 us instead of 26 (a write), in 107 instead of 22 (a read).
 */
const HEAD = 48;

export class BufferPool {
  /** By the length of their memory. */
  readonly #spares = new Map<number, Buffer[]>();
  readonly #lent = new Map<ArrayBufferLike, Buffer>();
  #spareBytes = 0;

  /** A buffer of `length` bytes with arbitrary content, in memory of its own. */
  take(length: number): Buffer {
    const capacity = HEAD + Math.ceil(length / PAGE) * PAGE;
    const spare = this.#spares.get(capacity)?.pop();
    if (spare !== undefined) this.#spareBytes -= capacity;
    const memory = spare?.buffer ?? Buffer.allocUnsafeSlow(capacity).buffer;
    const buffer = spare?.length === length ? spare : Buffer.from(memory, HEAD, length);
    this.#lent.set(memory, buffer);
    return buffer;
  }

  /** True for a buffer that `take` gave and that was not given back. */
  owns(buffer: Buffer): boolean {
    return this.#lent.has(buffer.buffer);
  }

  /** Takes a buffer back that `take` gave, by any part of it. Nobody may use it any more. */
  giveBack(buffer: Buffer): void {
    const memory = buffer.buffer;
    const lent = this.#lent.get(memory);
    this.#lent.delete(memory);
    if (lent === undefined || this.#spareBytes + memory.byteLength > MAX_SPARE_BYTES) return;
    this.#spareBytes += memory.byteLength;
    const spares = this.#spares.get(memory.byteLength);
    if (spares === undefined) this.#spares.set(memory.byteLength, [lent]);
    else spares.push(lent);
  }
}
