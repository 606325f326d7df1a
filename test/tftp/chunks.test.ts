/** Chunks of files that transfers share. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryFile } from '../../imager/images/boot-files.ts';
import { type ChunkReader, Chunks } from '../../imager/tftp/chunks.ts';
import { type ByteSource, octets } from '../../imager/tftp/source.ts';
import { sampleBytes } from './served.ts';

const LENGTH = 100;
const COUNT = 12;
const file = sampleBytes(COUNT * LENGTH - 30);

/** Says which chunks were read. */
function counted(): { source: ByteSource; reads: number[] } {
  const whole = octets(memoryFile(file));
  const reads: number[] = [];
  const fill = (target: Uint8Array, at: number) => {
    reads.push(at / target.length);
    return whole.fill(target, at);
  };
  return { source: { fill }, reads };
}

async function bytesOf(reader: ChunkReader, index: number): Promise<Buffer> {
  const { bytes, filled } = await reader.read(index);
  return Buffer.from(bytes.subarray(0, filled));
}

const right = (index: number) => file.subarray(index * LENGTH, (index + 1) * LENGTH);

describe('chunks', () => {
  test('who reads together, and who comes later, have what was read once', async () => {
    const chunks = new Chunks();
    const { source, reads } = counted();
    const [a, b] = [chunks.open('x', LENGTH, source), chunks.open('x', LENGTH, source)];
    const [one, other] = await Promise.all([a.read(0), b.read(0)]);
    expect(other.bytes).toBe(one.bytes);
    // One is through before the other goes on: what it had is kept.
    for (let index = 1; index < COUNT; index++) {
      expect(await bytesOf(a, index)).toEqual(right(index));
      a.release(index);
    }
    a.close();
    for (let index = 1; index < COUNT; index++) expect(await bytesOf(b, index)).toEqual(right(index));
    expect(reads).toEqual(Array.from({ length: COUNT }, (_, index) => index));
  });

  test('nothing is kept that nobody has yet to come to', async () => {
    const chunks = new Chunks();
    const { source, reads } = counted();
    const a = chunks.open('x', LENGTH, source);
    const { bytes } = await a.read(0);
    a.release(1);
    // Its memory serves again.
    expect((await a.read(1)).bytes).toBe(bytes);
    const late = chunks.open('x', LENGTH, source);
    expect(await bytesOf(late, 0)).toEqual(right(0));
    expect(reads).toEqual([0, 1, 0]);
    a.close();
    late.close();
    late.close();
    await chunks.open('x', LENGTH, source).read(1);
    expect(reads).toEqual([0, 1, 0, 1]);
  });

  test('other names, other lengths and no name share nothing', async () => {
    const chunks = new Chunks();
    const { source, reads } = counted();
    for (const [name, length] of [
      ['x', LENGTH],
      ['y', LENGTH],
      ['x', 2 * LENGTH],
      [undefined, LENGTH],
      [undefined, LENGTH],
    ] as const)
      await chunks.open(name, length, source).read(0);
    expect(reads).toEqual([0, 0, 0, 0, 0]);
  });

  test('what is kept is bounded', async () => {
    const chunks = new Chunks();
    const MIB = 1_048_576;
    let reads = 0;
    const fill = async () => {
      reads++;
      return MIB;
    };
    const [ahead, behind] = [chunks.open('x', MIB, { fill }), chunks.open('x', MIB, { fill })];
    await behind.read(0);
    for (let index = 0; index < 40; index++) {
      await ahead.read(index);
      ahead.release(index + 1);
    }
    for (let index = 1; index < 40; index++) {
      await behind.read(index);
      behind.release(index);
    }
    expect(reads).toBe(40 + 39 - 16);
    // What was kept counts no more.
    for (let index = 40; index < 50; index++) await ahead.read(index);
    ahead.release(50);
    for (let index = 40; index < 50; index++) await behind.read(index);
    expect(reads).toBe(40 + 39 - 16 + 10);
  });

  test('a read that fails fails for those who wait for it; the next one tries again', async () => {
    const chunks = new Chunks();
    const { source } = counted();
    const broken = { fill: () => Promise.reject(new Error('no disk')) };
    const [a, b] = [chunks.open('x', LENGTH, broken), chunks.open('x', LENGTH, source)];
    const [first, second] = [a.read(0), b.read(0)];
    await expect(first).rejects.toThrow('no disk');
    await expect(second).rejects.toThrow('no disk');
    const c = chunks.open('x', LENGTH, source);
    const { bytes } = await c.read(0);
    a.close();
    b.close();
    const d = chunks.open('x', LENGTH, source);
    await d.read(0);
    await d.read(1);
    expect(Buffer.from(bytes)).toEqual(right(0));
  });

  test('whoever reads, releases and goes when: what is held is right and stays as it is', async () => {
    const step = fc.record({
      who: fc.nat(3),
      what: fc.constantFrom('read', 'read', 'read', 'release', 'close'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
        const chunks = new Chunks();
        const { source } = counted();
        const open = () => ({
          reader: chunks.open('x', LENGTH, source),
          next: 0,
          held: new Map<number, Uint8Array>(),
        });
        const readers = [open(), open(), open(), open()];
        for (const { who, what } of steps) {
          const one = readers[who]!;
          if (what === 'close') {
            one.reader.close();
            readers[who] = open();
          } else if (what === 'release') {
            const least = Math.min(...one.held.keys());
            if (one.held.delete(least)) one.reader.release(least + 1);
          } else if (one.next < COUNT) {
            one.held.set(one.next, (await one.reader.read(one.next)).bytes);
            one.next++;
          }
          for (const { held } of readers)
            for (const [index, bytes] of held) {
              const wanted = right(index);
              expect(Buffer.from(bytes.subarray(0, wanted.length)).equals(wanted)).toBe(true);
            }
        }
      }),
    );
  });
});
