import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BootFile, memoryFile } from '../../imager/images/boot-files.ts';
import { BlockBuffer } from '../../imager/tftp/blocks.ts';
import { Chunks } from '../../imager/tftp/chunks.ts';
import { type ByteSource, netascii, octets, ShortFileError } from '../../imager/tftp/source.ts';

/** Reads at most `most` bytes a call, as file systems and networks may. */
function slow(bytes: Uint8Array, most: number): BootFile {
  const whole = memoryFile(bytes);
  return { ...whole, read: (target, offset) => whole.read(target.subarray(0, most), offset) };
}

async function all(source: ByteSource, step: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = 0; ; at += step) {
    const part = Buffer.alloc(step);
    const count = await source.fill(part, at);
    parts.push(part.subarray(0, count));
    if (count < step) return Buffer.concat(parts);
  }
}

describe('sources', () => {
  test('netascii: LF is CR LF, CR is CR NUL, the rest as it is (RFC 764)', async () => {
    const source = netascii(memoryFile(Buffer.from('a\nb\rc\r\n')));
    expect((await all(source, 100)).toString('latin1')).toBe('a\r\nb\r\0c\r\0\r\n');
  });

  test('the same bytes come out whatever the sizes of reads and steps', async () => {
    const inputs = fc.tuple(
      fc.array(fc.constantFrom(10, 13, 65), { maxLength: 200 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 20 }),
    );
    await fc.assert(
      fc.asyncProperty(inputs, async ([values, most, step]) => {
        const text = Buffer.from(values);
        expect(await all(octets(slow(text, most)), step)).toEqual(text);
        const expected = text.toString('latin1').replace(/\r|\n/g, (end) => (end === '\n' ? '\r\n' : '\r\0'));
        expect((await all(netascii(slow(text, most)), step)).toString('latin1')).toBe(expected);
      }),
    );
  });

  test('a file that ends before its size, or claims more than asked, is an error', async () => {
    const short = { ...memoryFile(Buffer.from('abc')), size: 5 };
    await expect(all(octets(short), 100)).rejects.toThrow(ShortFileError);
    const lying = { ...memoryFile(Buffer.from('abc')), read: async () => 1000 };
    await expect(all(octets(lying), 100)).rejects.toThrow(ShortFileError);
  });
});

describe('blocks', () => {
  async function packets(
    size: number,
    blksize: number,
    windowsize: number,
    readAhead = 131_072,
  ): Promise<Buffer[]> {
    const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
    const source = octets(memoryFile(bytes));
    const blocks = new BlockBuffer({
      open: (length) => new Chunks().open('file', length, source),
      blksize,
      windowsize,
      fileSize: size,
      readAhead,
      inUse: () => false,
    });
    const found: Buffer[] = [];
    const stalled: number[] = [];
    while (blocks.last === undefined || found.length < blocks.last) {
      while (blocks.hasRoom) await blocks.fill();
      // The machine sends a window, or all there is: with less it would wait for ever.
      const ready = blocks.available - found.length;
      if (blocks.last === undefined && ready < windowsize) stalled.push(found.length);
      const sent = Math.min(ready, windowsize);
      for (let count = 0; count < sent; count++) found.push(Buffer.from(blocks.packet(found.length + 1)));
      blocks.release(found.length);
    }
    expect(stalled).toEqual([]);
    // Not toEqual, which takes seconds for what is as long as this.
    expect(Buffer.concat(found.map((packet) => packet.subarray(4))).equals(bytes)).toBe(true);
    return found;
  }

  test.each([
    ['nothing', 0, [0]],
    ['less than a block', 7, [7]],
    ['exactly a block: an empty one ends the file', 8, [8, 0]],
    ['a block and a byte', 9, [8, 1]],
    ['exactly two blocks', 16, [8, 8, 0]],
  ])('%s', async (_name, size, lengths) => {
    const found = await packets(size, 8, 1);
    expect(found.map((packet) => packet.length - 4)).toEqual(lengths);
    expect(found.map((packet) => packet.readUInt16BE(2))).toEqual(lengths.map((_, index) => index + 1));
  });

  test('any size with any window is sent whole without waiting for ever', async () => {
    const cases = fc.tuple(
      fc.integer({ min: 0, max: 3000 }),
      fc.integer({ min: 8, max: 600 }),
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 4000 }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([size, blksize, windowsize, readAhead]) => {
        await packets(size, blksize, windowsize, readAhead);
      }),
    );
    await packets(300_000, 16, 64);
    await packets(300_000, 512, 3);
    await packets(900_000, 1468, 200);
  });

  test('packets that still wait to be sent are not written over', async () => {
    const fileSize = 2_000_000;
    const blocks = new BlockBuffer({
      open: (length) => new Chunks().open('file', length, octets(memoryFile(Buffer.alloc(fileSize, 1)))),
      ...{ blksize: 1000, windowsize: 1, fileSize, readAhead: 131_072 },
      inUse: () => true,
    });
    await blocks.fill();
    const first = blocks.packet(1);
    const before = Buffer.from(first);
    for (let round = 0; round < 3; round++) {
      expect(blocks.packet(blocks.available)).not.toBe(first);
      blocks.release(blocks.available);
      await blocks.fill();
    }
    expect(Buffer.from(first)).toEqual(before);
  });
});
