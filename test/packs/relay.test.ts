/** The agent's relay: reads from the pack, everything else passed on, never anything but the disk's content. */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeIndex, PackRuns } from '../../imager/packs/pack.ts';
import { CMD, ImagerEnd, KernelEnd } from './nbd-ends.ts';
import { type RelayProgram, startRelay } from './relay-program.ts';

const BLOCK = 4096;
const running: RelayProgram[] = [];
afterEach(() => {
  for (const { process } of running.splice(0)) process.kill();
});

/** A pack of these blocks of `content`. */
function packOf(content: Buffer, blocks: readonly number[]): Buffer {
  const runs = new PackRuns();
  const stored: Buffer[] = [];
  for (const block of blocks) {
    const bytes = Buffer.alloc(BLOCK);
    content.copy(bytes, 0, block * BLOCK);
    const zero = bytes.every((byte) => byte === 0);
    runs.add(block, 1, zero);
    if (!zero) stored.push(bytes);
  }
  const checksums = Uint32Array.from(stored, (bytes) => crc32(bytes));
  const digest = 'ab'.repeat(32);
  const index = encodeIndex({ size: content.length, digest, trace: 1, runs: runs.runs, checksums });
  return Buffer.concat([index, ...stored]);
}

function start(content: Buffer, pack: Buffer, patience?: number) {
  const relay = startRelay(content.length, patience);
  running.push(relay);
  relay.give(pack);
  return {
    ...relay,
    kernel: new KernelEnd(relay.kernel),
    imager: new ImagerEnd(relay.imager, Buffer.from(content)),
    sockets: relay,
  };
}

/** 32 blocks and a bit, of which blocks 8 to 11 are zeroes. */
function disk(): Buffer {
  const content = randomBytes(32 * BLOCK + 512);
  content.fill(0, 8 * BLOCK, 12 * BLOCK);
  return content;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe('the relay', () => {
  it('answers reads that are wholly in the pack and passes the others on', async () => {
    const content = disk();
    const { kernel, imager } = start(content, packOf(content, [...range(20, 33), ...range(2, 14)]));
    const reads: [number, number][] = [
      [2 * BLOCK, 12 * BLOCK],
      [5 * BLOCK + 512, 1024],
      [32 * BLOCK, 512],
      [BLOCK, 2 * BLOCK],
      [13 * BLOCK, 2 * BLOCK],
      [0, 512],
    ];
    for (const [offset, length] of reads)
      expect(await kernel.ask(CMD.read, offset, length)).toEqual(content.subarray(offset, offset + length));
    expect(imager.requests).toEqual([
      `read ${BLOCK} ${2 * BLOCK}`,
      `read ${13 * BLOCK} ${2 * BLOCK}`,
      'read 0 512',
    ]);
    expect(await kernel.ask(CMD.read, 32 * BLOCK, 1024)).toBe(22);
  });

  it('forgets exactly the blocks that are written, zeroed or trimmed', async () => {
    const content = disk();
    const { kernel, imager } = start(content, packOf(content, range(0, 33)));
    await kernel.ask(CMD.write, 3 * BLOCK + 100, 8, Buffer.from('written!'));
    await kernel.ask(CMD.trim, 20 * BLOCK - 1, 2);
    await kernel.ask(CMD.zeroes, 30 * BLOCK, BLOCK);
    await kernel.ask(CMD.flush, 0, 0);
    imager.requests.length = 0;
    for (const block of range(0, 33)) {
      const at = block * BLOCK;
      const length = Math.min(BLOCK, content.length - at);
      expect(await kernel.ask(CMD.read, at, length)).toEqual(imager.content.subarray(at, at + length));
    }
    expect(imager.requests).toEqual([3, 19, 20, 30].map((block) => `read ${block * BLOCK} ${BLOCK}`));
  });

  it('does not wait for the imager where it need not, and takes its answers in any order', async () => {
    const content = disk();
    const { kernel, imager } = start(content, packOf(content, range(4, 8)));
    imager.prompt = false;
    const slow = [12, 16, 20].map((block) => kernel.ask(CMD.read, block * BLOCK, 3 * BLOCK));
    expect(await kernel.ask(CMD.read, 4 * BLOCK, BLOCK)).toEqual(content.subarray(4 * BLOCK, 5 * BLOCK));
    await imager.release(3);
    const got = await Promise.all(slow);
    expect(got).toEqual([12, 16, 20].map((block) => content.subarray(block * BLOCK, (block + 3) * BLOCK)));
  });

  it('takes no block whose checksum is wrong', async () => {
    const content = disk();
    const pack = packOf(content, range(0, 8));
    pack[pack.length - 1]! ^= 1;
    const { kernel, imager } = start(content, pack);
    expect(await kernel.ask(CMD.read, 6 * BLOCK, BLOCK)).toEqual(content.subarray(6 * BLOCK, 7 * BLOCK));
    expect(imager.requests).toEqual([]);
    expect(await kernel.ask(CMD.read, 7 * BLOCK, BLOCK)).toEqual(content.subarray(7 * BLOCK, 8 * BLOCK));
    expect(imager.requests).toEqual([`read ${7 * BLOCK} ${BLOCK}`]);
  });

  it('takes no pack that is damaged, cut off or of another disk', async () => {
    const content = disk();
    const pack = packOf(content, range(0, 8));
    const bent = Buffer.from(pack);
    bent[70]! ^= 1;
    const why = async (bytes: Buffer, size = content.length) => {
      const relay = startRelay(size);
      running.push(relay);
      relay.give(bytes);
      return relay.ended;
    };
    expect(await why(bent)).toEqual({ code: 3, output: 'damaged\n' });
    expect(await why(pack.subarray(0, -1))).toEqual({ code: 3, output: 'cut off\n' });
    expect(await why(pack, content.length + 1)).toEqual({ code: 3, output: 'of another disk\n' });
    expect(await why(Buffer.from('GET'))).toEqual({ code: 3, output: 'no pack\n' });
  });

  it('ends where either side does, and tells the other', async () => {
    const content = disk();
    const first = start(content, packOf(content, []));
    first.sockets.imager.destroy();
    await first.kernel.ended;
    expect(await first.ended).toEqual({ code: 0, output: '' });
    const second = start(content, packOf(content, []));
    second.sockets.kernel.destroy();
    await second.imager.ended;
    expect(await second.ended).toEqual({ code: 0, output: '' });
  });

  it('leaves once the pack was not asked for a while, with a word to the imager', async () => {
    const content = disk();
    const { kernel, imager, ended } = start(content, packOf(content, [1]), 0.05);
    expect(await kernel.ask(CMD.read, BLOCK, BLOCK)).toHaveLength(BLOCK);
    await kernel.ended;
    expect((await ended).output).toBe(
      'bootwright: disk root: booted, 1 reads from its pack, 0 from the imager\n',
    );
    expect(imager.requests).toEqual(['disc 0 0']);
  });

  it('is a disk: whatever is asked, reads give what was written last', async () => {
    const blocks = 16;
    const at = fc.record({ offset: fc.nat(blocks * 8 - 1), length: fc.integer({ min: 1, max: 40 }) });
    const step = fc.record({ type: fc.constantFrom(0, 0, 0, 0, 1, 1, 4, 6), at, wait: fc.boolean() });
    const packed = fc.uniqueArray(fc.nat(blocks - 1), { minLength: 10, maxLength: blocks });
    await fc.assert(
      fc.asyncProperty(packed, fc.array(step, { minLength: 15, maxLength: 40 }), async (order, steps) => {
        const content = randomBytes(blocks * BLOCK);
        content.fill(0, 4 * BLOCK, 6 * BLOCK);
        const { kernel, sockets, ended } = start(content, packOf(content, order));
        const model = Buffer.from(content);
        const asked: Promise<unknown>[] = [];
        for (const { type, at, wait } of steps) {
          const offset = at.offset * 512;
          const length = Math.min(at.length * 512, content.length - offset);
          if (type !== CMD.read) {
            // As a kernel does: nothing overlaps a change that is under way.
            await Promise.all(asked);
            const payload = type === CMD.write ? randomBytes(length) : undefined;
            await kernel.ask(type, offset, length, payload);
            model.fill(0, offset, offset + length);
            payload?.copy(model, offset);
            for (let at = Math.floor(offset / BLOCK) * BLOCK; at < offset + length; at += BLOCK)
              expect(await kernel.ask(CMD.read, at, BLOCK)).toEqual(model.subarray(at, at + BLOCK));
            continue;
          }
          const wanted = Buffer.from(model.subarray(offset, offset + length));
          asked.push(kernel.ask(type, offset, length).then((got) => expect(got).toEqual(wanted)));
          if (wait) await Promise.all(asked);
        }
        await Promise.all(asked);
        sockets.kernel.destroy();
        expect(await ended).toEqual({ code: 0, output: '' });
      }),
      { numRuns: 10 },
    );
  });
});
