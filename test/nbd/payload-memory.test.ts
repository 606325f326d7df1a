/** Memory of payloads is used again as soon as a disk has taken them, and never before. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DONE, type Keep } from '../../imager/disks/disk.ts';
import type { Overlay } from '../../imager/disks/overlay.ts';
import { BufferPool } from '../../imager/nbd/buffer-pool.ts';
import type { Request } from '../../imager/nbd/codec.ts';
import { Incoming, type RequestSink, type Source } from '../../imager/nbd/incoming.ts';
import { ReceiveRoom } from '../../imager/nbd/receive-room.ts';
import { fresh, opened } from '../disks/overlays-in-memory.ts';
import { request, WRITE } from './raw-client.ts';

const BLOCKS = 400;
const BLOCK = 4096;

/** What is given back is overwritten at once, and given back once. */
class Poisoned extends BufferPool {
  readonly lent = new Set<ArrayBufferLike>();
  override take(length: number): Buffer {
    const buffer = super.take(length);
    expect([this.lent.has(buffer.buffer), buffer.length]).toEqual([false, length]);
    this.lent.add(buffer.buffer);
    return buffer;
  }
  override giveBack(buffer: Buffer): void {
    expect(this.lent.delete(buffer.buffer)).toBe(true);
    new Uint8Array(buffer.buffer).fill(0xee);
    super.giveBack(buffer);
  }
}

/** Bytes come as on a native stream: to where they are to be filled, or to the room, which is then used again. */
class Tap implements Source {
  room: Buffer = Buffer.alloc(0);
  readonly #room = new ReceiveRoom((bytes) => {
    this.room = bytes;
  });
  target: Buffer | undefined;
  filled = (): void => {};
  pause(): void {}
  resume(): void {}
  stopFilling(): void {}
  keep(): () => void {
    return this.#room.keep();
  }
  fill(target: Buffer, filled: () => void): void {
    this.target = target;
    this.filled = filled;
  }

  /** Takes up to `most` of `bytes`; gives how many. */
  take(incoming: Incoming, bytes: Buffer, most: number): number {
    const { target } = this;
    if (target === undefined) {
      const count = bytes.copy(this.room, 0, 0, most);
      incoming.feed(this.#room.first(count));
      this.#room.turn();
      return count;
    }
    const count = bytes.copy(target, 0, 0, most);
    this.target = count < target.length ? target.subarray(count) : undefined;
    if (this.target === undefined) this.filled();
    return count;
  }
}

class Sink implements RequestSink {
  readonly full = false;
  readonly works: Promise<void>[] = [];
  readonly #disk: Overlay;
  constructor(disk: Overlay) {
    this.#disk = disk;
  }
  begin(): 'take' {
    return 'take';
  }
  write({ offset }: Request, payload: Buffer, keep: Keep): void {
    const work = this.#disk.write(payload, offset, keep);
    if (work !== DONE) this.works.push(work);
  }
  skipped(): void {}
  abandoned(): void {}
  nonsense(error: Error): void {
    throw error;
  }
}

const length = fc.constantFrom(0, 512, BLOCK, 5000, 2 * BLOCK, 4 * BLOCK, 9 * BLOCK, 64 * 1024, 100_000);
const writes = fc.array(fc.record({ length, gap: fc.constantFrom(0, 1, 100, BLOCK) }), { maxLength: 15 });
const cuts = fc.array(fc.constantFrom(1, 27, 28, 29, 4096, 65_536, 200_000), { minLength: 1, maxLength: 9 });
/** Whether the drive is prompt, one part of the stream after the other. */
const prompt = fc.array(fc.boolean(), { minLength: 1, maxLength: 5 });

test('a disk has what was written, however it came in, and however fast the drive was', async () => {
  await fc.assert(
    fc.asyncProperty(writes, cuts, prompt, async (wanted, sizes, moods) => {
      const file = fresh(BLOCKS);
      const disk = await opened(file);
      const [sink, tap, pool] = [new Sink(disk), new Tap(), new Poisoned()];
      const incoming = new Incoming(sink, pool, tap);
      const model = Buffer.alloc(BLOCKS * BLOCK);
      await disk.read(model, 0);
      let at = 0;
      const parts = wanted.map(({ length, gap }, i) => {
        const offset = at + gap;
        at = offset + length;
        const payload = Buffer.alloc(length, i + 1);
        payload.copy(model, offset);
        return request({ type: WRITE, offset, payload });
      });
      const bytes = Buffer.concat(parts);
      for (let done = 0, i = 0; done < bytes.length; i++) {
        file.prompts = moods[i % moods.length]!;
        done += tap.take(incoming, bytes.subarray(done), sizes[i % sizes.length]!);
        if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        while (incoming.holding) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(sink.works);
      expect(pool.lent.size).toBe(0);
      file.prompts = true;
      const content = Buffer.alloc(model.length);
      await disk.read(content, 0);
      expect(content.equals(model)).toBe(true);
      await disk.close();
    }),
    { numRuns: 150 },
  );
});
