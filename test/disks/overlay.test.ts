import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DiskError } from '../../imager/disks/disk.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { emptyOverlay } from '../../imager/disks/overlay-file.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';
import { VolatileFile } from './volatile-file.ts';

/** 20 blocks and a short one; the base has 15 and a short one. */
const SIZE = 20 * BLOCK_SIZE + 1000;
const BASE_SIZE = 15 * BLOCK_SIZE + 500;
const BASE_CONTENT = Uint8Array.from({ length: SIZE }, (_, i) =>
  i < BASE_SIZE ? (i * 31 + (i >> 12)) & 0xff : 0,
);

interface Files {
  base: VolatileFile;
  data: VolatileFile;
}

let salts = 0;
const salt = (): string => (++salts).toString(16).padStart(16, '0');

function freshFiles(): Files {
  const base = { name: 'b', size: BASE_SIZE, digest: '00'.repeat(32) };
  return {
    base: new VolatileFile(BASE_CONTENT.subarray(0, BASE_SIZE)),
    data: new VolatileFile(emptyOverlay(base, SIZE, salt())),
  };
}

function openOverlay({ base, data }: Files, warn: (message: string) => void = () => {}): Overlay {
  const store = OverlayStore.open(data, { name: 'disk', salt, warn });
  return new Overlay('disk', store, {
    file: base,
    size: BASE_SIZE,
    zeros: new ZeroMap(BASE_SIZE),
    intact: () => {},
  });
}

async function contentOf(disk: Overlay): Promise<Uint8Array> {
  const bytes = new Uint8Array(SIZE);
  await disk.read(bytes, 0);
  return bytes;
}

/** What is there after a crash of the machine that lost all that was not synced. */
function afterCrash(files: Files): Promise<Uint8Array> {
  return contentOf(openOverlay({ ...files, data: new VolatileFile(files.data.stored()) }));
}

type Step =
  | { do: 'write'; at: number; length: number; fill: number }
  | { do: 'trim' | 'zero' | 'fill'; at: number; length: number }
  | { do: 'read'; at: number; length: number }
  | { do: 'flush' | 'reopen' | 'slow' | 'quick' };

const at = fc.oneof(
  fc.nat(SIZE - 1),
  fc.nat(20).map((block) => block * BLOCK_SIZE),
);
const length = fc.oneof(
  fc.nat(3 * BLOCK_SIZE),
  fc.nat(4).map((blocks) => blocks * BLOCK_SIZE),
  fc.nat(SIZE),
);
const range = fc
  .tuple(at, length)
  .map(([from, wanted]) => ({ at: from, length: Math.min(wanted, SIZE - from) }));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(range, fc.integer({ min: 1, max: 255 }))
      .map(([r, fill]) => ({ do: 'write' as const, ...r, fill })),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(range, fc.constantFrom('trim' as const, 'zero' as const, 'fill' as const))
      .map(([r, what]) => ({ do: what, ...r })),
  },
  { weight: 2, arbitrary: range.map((r) => ({ do: 'read' as const, ...r })) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom('flush' as const, 'reopen' as const, 'slow' as const, 'quick' as const)
      .map((what) => ({ do: what })),
  },
);

/** Content that tells where it was written and by whom. */
function pattern(step: { at: number; length: number; fill: number }): Uint8Array {
  const bytes = new Uint8Array(step.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (step.at + i) * 7 + step.fill;
  return bytes;
}

/** Carries a step out on the disk, and on the model of its content. */
async function perform(disk: Overlay, model: Uint8Array, one: Step): Promise<void> {
  switch (one.do) {
    case 'write':
      model.set(pattern(one), one.at);
      return disk.write(pattern(one), one.at);
    case 'trim':
      model.fill(0, one.at, one.at + one.length);
      return disk.trim(one.at, one.length);
    case 'zero':
    case 'fill':
      model.fill(0, one.at, one.at + one.length);
      return disk.writeZeroes(one.at, one.length, one.do === 'zero');
    case 'flush':
      return disk.flush();
  }
}

test('an overlay reads like a plain buffer, whatever was done to it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      let files = freshFiles();
      let disk = openOverlay(files);
      const model = BASE_CONTENT.slice();
      for (const one of steps) {
        if (one.do === 'reopen') {
          await disk.close();
          files = { base: files.base, data: new VolatileFile(files.data.stored()) };
          disk = openOverlay(files);
        } else if (one.do === 'slow' || one.do === 'quick') {
          for (const file of Object.values(files)) file.prompts = one.do === 'quick';
        } else if (one.do === 'read') {
          const bytes = new Uint8Array(one.length);
          await disk.read(bytes, one.at);
          expect(Buffer.compare(bytes, model.subarray(one.at, one.at + one.length))).toBe(0);
        } else await perform(disk, model, one);
      }
      expect(Buffer.compare(await contentOf(disk), model)).toBe(0);
      expect(Buffer.compare(files.base.content(), BASE_CONTENT.subarray(0, BASE_SIZE))).toBe(0);
    }),
    { numRuns: 100 },
  );
});

test('power cut at any moment: flushed blocks are there, others are old or new, none is anything else', async () => {
  const chance = fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 30, size: 'max' }),
      fc.nat(60),
      chance,
      async (steps, turns, random) => {
        const files = freshFiles();
        // What each block may read as: its value when the last complete flush began, and all values since.
        let allowed: Set<string>[] = [];
        const model = BASE_CONTENT.slice();
        const remember = (): void => {
          for (let block = 0; block <= 20; block++) allowed[block]!.add(keyOf(model, block));
        };
        allowed = Array.from({ length: 21 }, (_, block) => new Set([keyOf(model, block)]));
        const disk = openOverlay(files);
        const running = (async () => {
          for (const one of steps) {
            if (one.do === 'slow' || one.do === 'quick')
              for (const file of Object.values(files)) file.prompts = one.do === 'quick';
            // Writing zeroes in parts may be cut between the parts: they are whole blocks' writes, all or nothing each.
            const work = perform(disk, model, one);
            remember();
            await work;
            if (one.do === 'flush')
              allowed = Array.from({ length: 21 }, (_, block) => new Set([keyOf(model, block)]));
          }
        })();
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        const kept = (units: number): number => {
          const draw = random.next().value as number;
          return draw < 0.3 ? 0 : draw < 0.6 ? units : Math.floor(random.next().value! * (units + 1));
        };
        // Whatever was not synced may be torn at any byte.
        const after = { base: files.base, data: files.data.afterPowerCut(kept, 1) };
        const acceptable = allowed.map((set) => new Set(set));
        const content = await contentOf(openOverlay(after));
        for (let block = 0; block <= 20; block++)
          expect(acceptable[block]!.has(keyOf(content, block))).toBe(true);
        await running;
      },
    ),
    { numRuns: 400 },
  );
}, 120_000);

function keyOf(content: Uint8Array, block: number): string {
  return Buffer.from(content.subarray(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE)).toString('latin1');
}

test('writes to different bytes of one block at once lose nothing, on either way to the file', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { minLength: 64, maxLength: 64 }),
      fc.gen(),
      async (slow, gen) => {
        const files = freshFiles();
        const disk = openOverlay(files);
        const model = BASE_CONTENT.slice();
        const cuts = [...new Set([0, SIZE, ...Array.from({ length: 40 }, () => gen(fc.nat, SIZE))])].sort(
          (a, b) => a - b,
        );
        const works = cuts.slice(1).map((end, i) => {
          const one = { at: cuts[i]!, length: end - cuts[i]!, fill: i + 1 };
          files.data.prompts = !slow[i];
          model.set(pattern(one), one.at);
          return disk.write(pattern(one), one.at);
        });
        await Promise.all(works);
        expect(Buffer.compare(await contentOf(disk), model)).toBe(0);
      },
    ),
    { numRuns: 100 },
  );
});

test('a small write into a long one that is under way costs the long one nothing', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  files.data.prompts = false;
  const long = disk.write(new Uint8Array(8 * BLOCK_SIZE).fill(1), 0);
  files.data.prompts = true;
  const short = disk.write(new Uint8Array(10).fill(2), 5 * BLOCK_SIZE + 100);
  await Promise.all([long, short]);
  const content = await contentOf(disk);
  expect(content[5 * BLOCK_SIZE]).toBe(1);
  expect(content[5 * BLOCK_SIZE + 100]).toBe(2);
  expect(content[5 * BLOCK_SIZE + 110]).toBe(1);
});

test('flushes asked for while one runs share the next; nothing to flush costs nothing', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  // The first one syncs what an earlier process may have written and not flushed.
  await disk.flush();
  await disk.flush();
  expect(files.data.syncs).toBe(1);
  await disk.write(new Uint8Array(BLOCK_SIZE), 0);
  const first = disk.flush();
  await disk.write(new Uint8Array(BLOCK_SIZE), BLOCK_SIZE);
  await Promise.all([first, disk.flush(), disk.flush(), disk.flush()]);
  expect(files.data.syncs).toBe(3);
});

test('a flush asked for at the very moment another ends does not overtake the next one', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(1), 0);
  const first = disk.flush();
  const late = first.then(() => disk.flush());
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(2), BLOCK_SIZE);
  await disk.flush();
  expect((await afterCrash(files))[BLOCK_SIZE]).toBe(2);
  await late;
});

test('a write that ends during a flush is safe after the next one', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  files.data.prompts = false;
  const writing = disk.write(new Uint8Array(BLOCK_SIZE).fill(5), 0);
  await Promise.all([disk.flush(), writing]);
  await disk.flush();
  expect((await afterCrash(files))[0]).toBe(5);
});

test('a write is acknowledged when it outlives the process, and costs two calls of the system', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.flush();
  const before = files.data.writes;
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(3), 0);
  expect(files.data.writes - before).toBe(2);
  expect((await contentOf(openOverlay({ ...files, data: new VolatileFile(files.data.content()) })))[0]).toBe(
    3,
  );
  // Short ones of one turn share both.
  await Promise.all(
    Array.from({ length: 16 }, (_, i) => disk.write(new Uint8Array(BLOCK_SIZE).fill(i), i * BLOCK_SIZE)),
  );
  expect(files.data.writes - before).toBe(2 + 2);
});

test('a read that fails is over: nothing writes to its target any more', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(7), BLOCK_SIZE);
  files.base.prompts = files.data.prompts = false;
  files.data.failing = 'read';
  let last = (): void => {};
  files.base.readGate = new Promise((resolve) => {
    last = resolve;
  });
  let over = false;
  const reading = disk.read(new Uint8Array(3 * BLOCK_SIZE), 0).finally(() => {
    over = true;
  });
  const failed = expect(reading).rejects.toThrow('unreadable');
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(over).toBe(false);
  last();
  await failed;
});

test('after a failed flush nothing is accepted any more, and what was safe still is', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(7), 0);
  files.data.failing = 'sync';
  await expect(disk.flush()).rejects.toThrow(/a flush failed, no more writes/);
  files.data.failing = undefined;
  await expect(disk.flush()).rejects.toMatchObject({ code: 'EIO' });
  await expect(disk.write(new Uint8Array(1), 0)).rejects.toMatchObject({ code: 'EIO' });
  await expect(disk.close()).rejects.toThrow();
  // What the page cache still has may be lost later, without another word of the drive: it does not count.
  const again = openOverlay({ ...files, data: new VolatileFile(files.data.content()) });
  expect(Buffer.compare(await contentOf(again), BASE_CONTENT)).toBe(0);
});

test.each([true, false])(
  'a full disk refuses the write and keeps the block (synchronous: %s)',
  async (prompts) => {
    const files = freshFiles();
    const disk = openOverlay(files);
    files.data.prompts = prompts;
    files.data.failing = 'write';
    await expect(disk.write(new Uint8Array(3 * BLOCK_SIZE).fill(7), BLOCK_SIZE)).rejects.toMatchObject({
      code: 'ENOSPC',
    });
    files.data.failing = undefined;
    expect(Buffer.compare(await contentOf(disk), BASE_CONTENT)).toBe(0);
    await disk.write(new Uint8Array(5).fill(1), BLOCK_SIZE);
    expect((await contentOf(disk))[BLOCK_SIZE + 4]).toBe(1);
  },
);

test('a checkpoint torn at any byte of its superblock: the state is the same', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.write(pattern({ at: 0, length: 5 * BLOCK_SIZE, fill: 1 }), 3 * BLOCK_SIZE);
  await disk.trim(4 * BLOCK_SIZE, BLOCK_SIZE);
  await disk.flush();
  const wanted = await contentOf(disk);
  const before = files.data.content();
  await disk.store.checkpoint();
  const after = files.data.content();
  for (const copy of [0, 1])
    for (let cut = 0; cut <= BLOCK_SIZE; cut += 7) {
      const torn = after.slice();
      const at = copy * BLOCK_SIZE;
      torn.set(before.subarray(at + cut, at + BLOCK_SIZE), at + cut);
      // While the first copy is written the second is as before.
      if (copy === 1) torn.set(before.subarray(0, BLOCK_SIZE));
      const opened = openOverlay({ ...files, data: new VolatileFile(torn) });
      expect(Buffer.compare(await contentOf(opened), wanted)).toBe(0);
    }
});

test('a bit that changed in the file is an error where it matters, and never read', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.write(pattern({ at: 0, length: 4 * BLOCK_SIZE, fill: 1 }), 2 * BLOCK_SIZE);
  await disk.close();
  const wanted = await contentOf(openOverlay(files));
  const content = files.data.content();
  const used = [...content.keys()].filter((at) => content[at] !== 0);
  for (let i = 0; i < used.length; i += 97) {
    const spoilt = content.slice();
    spoilt[used[i]!]! ^= 1 << (i % 8);
    try {
      const bytes = await contentOf(openOverlay({ ...files, data: new VolatileFile(spoilt) }));
      expect(Buffer.compare(bytes, wanted)).toBe(0);
    } catch (error) {
      expect(String(error)).toMatch(/damaged/);
    }
  }
});

test('killed after the end of the file was cut off, behind which the journal still names a place', async () => {
  let files = freshFiles();
  let disk = openOverlay(files);
  const kill = (): void => {
    files = { ...files, data: new VolatileFile(files.data.content()) };
    disk = openOverlay(files);
  };
  await disk.store.settled();
  await disk.write(pattern({ at: 0, length: 6 * BLOCK_SIZE, fill: 1 }), 0);
  await disk.trim(BLOCK_SIZE, 5 * BLOCK_SIZE);
  const before = files.data.size();
  kill();
  await disk.store.settled();
  expect(files.data.size()).toBeLessThan(before);
  const wanted = await contentOf(disk);
  kill();
  expect(Buffer.compare(await contentOf(disk), wanted)).toBe(0);
});

test('what was flushed counts, though a place that a record before it names was used again', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.store.settled();
  for (const fill of [1, 2]) await disk.write(new Uint8Array(BLOCK_SIZE).fill(fill), 0);
  await disk.flush();
  // The place of the first write is free now.
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(3), 0);
  await disk.write(new Uint8Array(BLOCK_SIZE).fill(4), BLOCK_SIZE);
  // Of what was not flushed only blocks come to the drive, no records.
  const after = files.data.afterPowerCut((bytes) => (bytes === BLOCK_SIZE ? bytes : 0), 1);
  const content = await contentOf(openOverlay({ ...files, data: after }));
  expect(content[0]).toBe(2);
  expect(content[BLOCK_SIZE]).toBe(BASE_CONTENT[BLOCK_SIZE]);
});

test('after a record that could not be written none is acknowledged', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.flush();
  files.data.prompts = false;
  const write = files.data.write.bind(files.data);
  let go = (): void => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  files.data.write = async (source, offset) => {
    if (source.length < BLOCK_SIZE) throw new DiskError('EIO', 'no record');
    if (source[0] === 2) await held;
    await write(source, offset);
  };
  const late = disk.write(new Uint8Array(BLOCK_SIZE).fill(2), BLOCK_SIZE);
  await expect(disk.write(new Uint8Array(BLOCK_SIZE).fill(1), 0)).rejects.toThrow('no record');
  files.data.write = write;
  go();
  await expect(late).rejects.toThrow('no record');
  await expect(disk.write(new Uint8Array(BLOCK_SIZE), 0)).rejects.toThrow('no record');
  await expect(disk.flush()).rejects.toThrow(/no more writes: no record/);
});

test.each([true, false])(
  'no space on the imager: nothing is lost, and with space all goes on (synchronous: %s)',
  async (prompts) => {
    const files = freshFiles();
    let disk = openOverlay(files);
    await disk.store.settled();
    files.data.prompts = prompts;
    files.data.room = files.data.size() + 24 * BLOCK_SIZE;
    const model = BASE_CONTENT.slice();
    let refused = 0;
    for (let i = 0; i < 60; i++) {
      // What is replaced after that is free only when that is durable, too.
      if (i === 10) await disk.flush();
      const one = { at: ((i * 7) % 19) * BLOCK_SIZE + 100, length: 2 * BLOCK_SIZE, fill: i };
      try {
        await disk.write(pattern(one), one.at);
        model.set(pattern(one), one.at);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(Buffer.compare(await contentOf(disk), model)).toBe(0);
    // What a flush makes free is there for the next writes, without space of the file system.
    await disk.flush();
    await disk.write(pattern({ at: 0, length: BLOCK_SIZE, fill: 1 }), 0);
    model.set(pattern({ at: 0, length: BLOCK_SIZE, fill: 1 }), 0);
    await disk.flush();
    await disk.close();
    files.data.prompts = true;
    // Also for whoever opens it next, after a crash.
    files.data.room = files.data.size();
    const crashed = { ...files, data: new VolatileFile(files.data.stored()) };
    crashed.data.room = crashed.data.size();
    disk = openOverlay(crashed);
    expect(Buffer.compare(await contentOf(disk), model)).toBe(0);
    crashed.data.room = Number.POSITIVE_INFINITY;
    await disk.write(pattern({ at: 0, length: SIZE, fill: 9 }), 0);
    await disk.close();
  },
);

test('a node that writes, trims and writes again needs no more space for it', async () => {
  const files = freshFiles();
  const disk = openOverlay(files);
  await disk.store.settled();
  const round = async (fill: number): Promise<void> => {
    await disk.write(pattern({ at: 0, length: 20 * BLOCK_SIZE, fill }), 0);
    await disk.flush();
    await disk.trim(0, SIZE);
    await disk.flush();
  };
  for (let i = 0; i < 3; i++) await round(i);
  const size = files.data.size();
  for (let i = 0; i < 20; i++) await round(i);
  expect(files.data.size()).toBeLessThanOrEqual(size);
  await disk.close();
  expect(disk.store.places().used).toBeLessThan(2 + 32 + 32 + 5);
});

test('space: written and zeroed blocks are counted, NO_HOLE zeroes are written', async () => {
  const disk = openOverlay(freshFiles());
  await disk.write(new Uint8Array(10), 4090);
  await disk.trim(10 * BLOCK_SIZE, 2 * BLOCK_SIZE);
  await disk.writeZeroes(15 * BLOCK_SIZE, BLOCK_SIZE, false);
  expect(disk.store.tree.counts()).toEqual({ data: 3, zero: 2 });
});
