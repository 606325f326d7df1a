import { expect, test } from 'vitest';
import { BufferPool } from '../../imager/nbd/buffer-pool.ts';
import { ReplyMemory } from '../../imager/nbd/reply-memory.ts';

const KIB = 1024;

test('short replies lie one behind the other, and the same memory is used again once all have left', () => {
  const memory = new ReplyMemory(new BufferPool());
  const [a, b] = [memory.reserve(16), memory.reserve(4112)];
  expect([b.buffer === a.buffer, b.byteOffset]).toEqual([true, a.byteOffset + 16]);
  memory.release(a, 1);
  expect(memory.reserve(16).byteOffset).toBe(b.byteOffset + 4112);
  memory.release(b, 2);
  const again = memory.reserve(16);
  expect([again.buffer === a.buffer, again.byteOffset]).toEqual([true, a.byteOffset]);
});

test('what has not left is not given to another', () => {
  const memory = new ReplyMemory(new BufferPool());
  const held = Array.from({ length: 20 }, (_, i) => memory.reserve(60 * KIB).fill(i));
  for (const [i, reply] of held.entries()) expect(reply.every((byte) => byte === i)).toBe(true);
  const last = held.pop()!;
  for (const reply of held) memory.release(reply, 1);
  for (let i = 0; i < 100; i++) memory.release(memory.reserve(60 * KIB).fill(99), 1);
  expect(last.every((byte) => byte === 19)).toBe(true);
});

test('long ones are of the pool, and go back to it; what is of neither is let be', () => {
  const pool = new BufferPool();
  const memory = new ReplyMemory(pool);
  const long = memory.reserve(256 * KIB);
  expect(pool.owns(long)).toBe(true);
  memory.release(long, 1);
  expect([pool.owns(long), memory.reserve(256 * KIB).buffer === long.buffer]).toEqual([false, true]);
  memory.release(Buffer.alloc(10), 1);
});
