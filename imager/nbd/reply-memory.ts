/**
 * Memory that replies are made in, shared by all connections of a server. Short replies are carved one behind the other
 * from an arena, so that what leaves together lies together; an arena whose replies have all left is used again from
 * its start, and is still in the processor's cache where the system takes bytes at once. Long ones come from a pool.
 */
import type { BufferPool } from './buffer-pool.ts';

const ARENA_SIZE = 256 * 1024;
/** Longer replies come from the pool. */
const MAX_CARVED = 64 * 1024;
/** Arenas kept for when one is in use to its end. */
const MAX_SPARES = 16;

class Arena {
  readonly bytes = Buffer.allocUnsafeSlow(ARENA_SIZE);
  used = 0;
  /** Replies that are being made or have not left. */
  users = 0;
}

export class ReplyMemory {
  readonly #pool: BufferPool;
  readonly #inUse = new Map<ArrayBufferLike, Arena>();
  readonly #spares: Arena[] = [];
  #arena: Arena;

  constructor(pool: BufferPool) {
    this.#pool = pool;
    this.#arena = this.#take();
  }

  /** Memory for one reply; its content is arbitrary. */
  reserve(length: number): Buffer {
    if (length > MAX_CARVED) return this.#pool.take(length);
    if (this.#arena.used + length > ARENA_SIZE) this.#arena = this.#take();
    const arena = this.#arena;
    const from = arena.used;
    arena.used += length;
    arena.users++;
    return arena.bytes.subarray(from, arena.used);
  }

  #take(): Arena {
    const arena = this.#spares.pop() ?? new Arena();
    this.#inUse.set(arena.bytes.buffer, arena);
    return arena;
  }

  /** Takes `replies` back that lie in the memory of `bytes`; memory that is not from here is let be. */
  release(bytes: Buffer, replies: number): void {
    const arena = this.#inUse.get(bytes.buffer);
    if (arena === undefined) {
      if (this.#pool.owns(bytes)) this.#pool.giveBack(bytes);
      return;
    }
    arena.users -= replies;
    if (arena.users > 0) return;
    arena.used = 0;
    if (arena === this.#arena) return;
    this.#inUse.delete(arena.bytes.buffer);
    if (this.#spares.length < MAX_SPARES) this.#spares.push(arena);
  }
}
