/** Generations against plain arrays, with power cut at any moment. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlockReader } from '../../imager/disks/block-reader.ts';
import { differences } from '../../imager/disks/differences.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { drop, grow, mapOf, rollBack, snapshot } from '../../imager/disks/generations.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { emptyOverlay } from '../../imager/disks/overlay-file.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { atOnce } from '../../imager/disks/turns.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';
import { VolatileFile } from './volatile-file.ts';

const BLOCKS = 12;
const SIZE = BLOCKS * BLOCK_SIZE;
/** The disk grows beyond what a map of one level covers. */
const GROWN = 600 * BLOCK_SIZE;

let salts = 0;
const salt = (): string => (++salts).toString(16).padStart(16, '0');
const base = {
  file: new VolatileFile(new Uint8Array(SIZE).fill(0xba)),
  size: SIZE,
  zeros: new ZeroMap(SIZE),
  intact: () => {},
};

function fresh(): VolatileFile {
  return new VolatileFile(emptyOverlay({ name: 'b', size: SIZE, digest: '00'.repeat(32) }, SIZE, salt()));
}

function open(file: VolatileFile): Overlay {
  return new Overlay('disk', OverlayStore.open(file, { name: 'disk', salt, warn: () => {} }), base);
}

/** One number a block, since each block is filled with one byte; -1 where one is not. */
async function contentOf(read: (target: Uint8Array) => Promise<void>, size: number): Promise<number[]> {
  const bytes = new Uint8Array(size);
  await read(bytes);
  return Array.from({ length: size / BLOCK_SIZE }, (_, block) => {
    const part = bytes.subarray(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE);
    return part.every((byte) => byte === part[0]) ? part[0]! : -1;
  });
}

const present = (disk: Overlay): Promise<number[]> => contentOf((target) => disk.read(target, 0), disk.size);

async function kept(disk: Overlay): Promise<Map<number, number[]>> {
  const found = new Map<number, number[]>();
  for (const generation of disk.store.generations) {
    const tree = mapOf(disk.store, generation);
    const reader = new BlockReader('generation', disk.store.file, base, () => tree);
    found.set(generation.id, await contentOf((target) => reader.read(target, 0), generation.size));
  }
  return found;
}

type Step =
  | { do: 'write' | 'trim'; at: number; count: number; fill: number }
  | { do: 'flush' | 'snapshot' | 'checkpoint' | 'begin checkpoint' | 'grow' | 'reopen' | 'slow' | 'quick' }
  | { do: 'roll back' | 'drop'; which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        do: fc.constantFrom('write' as const, 'write' as const, 'trim' as const),
        at: fc.nat(BLOCKS - 1),
        count: fc.integer({ min: 1, max: 6 }),
        fill: fc.integer({ min: 1, max: 255 }),
      })
      .map((one) => ({ ...one, count: Math.min(one.count, BLOCKS - one.at) })),
  },
  {
    weight: 5,
    arbitrary: fc
      .constantFrom(
        ...([
          'flush',
          'flush',
          'snapshot',
          'snapshot',
          'checkpoint',
          'begin checkpoint',
          'grow',
          'reopen',
          'slow',
          'quick',
        ] as const),
      )
      .map((what) => ({ do: what })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('roll back' as const, 'drop' as const),
      which: fc.nat(5),
    }),
  },
);

/** What a disk must be. */
interface Model {
  now: number[];
  /** What each block may be after a crash. */
  allowed: Set<number>[];
  kept: Map<number, number[]>;
  /** Generations that a crash at this moment may leave or not. */
  unsure: Map<number, number[]>;
  /** Its size after a crash. */
  sizes: Set<number>;
}

const settle = (model: Model): void => {
  model.allowed = model.now.map((value) => new Set([value]));
  model.sizes = new Set([model.now.length]);
  model.unsure.clear();
};

async function perform(disk: Overlay, model: Model, one: Step): Promise<void> {
  const ids = [...model.kept.keys()];
  const next = disk.store.superblock.next;
  switch (one.do) {
    case 'write':
    case 'trim': {
      const fill = one.do === 'write' ? one.fill : 0;
      for (let block = one.at; block < one.at + one.count; block++) {
        model.now[block] = fill;
        model.allowed[block]!.add(fill);
      }
      const bytes = new Uint8Array(one.count * BLOCK_SIZE).fill(fill);
      if (one.do === 'write') await disk.write(bytes, one.at * BLOCK_SIZE);
      else await disk.trim(one.at * BLOCK_SIZE, bytes.length);
      return;
    }
    case 'flush':
      await disk.flush();
      return settle(model);
    case 'checkpoint':
      await disk.store.checkpoint();
      return settle(model);
    case 'begin checkpoint':
      void disk.store.checkpoint().catch(() => undefined);
      return;
    case 'snapshot':
      model.unsure.set(next, [...model.now]);
      expect(await snapshot(disk.store, 'test', 5)).toMatchObject({ id: next, label: 'test', time: 5 });
      model.kept.set(next, [...model.now]);
      return settle(model);
    case 'grow':
      model.sizes.add(GROWN / BLOCK_SIZE);
      while (model.now.length < GROWN / BLOCK_SIZE) {
        model.now.push(0);
        model.allowed.push(new Set([0]));
      }
      await grow(disk.store, GROWN);
      return settle(model);
    case 'roll back': {
      if (ids.length === 0) return;
      const id = ids[one.which % ids.length]!;
      const target = model.kept.get(id)!;
      model.unsure.set(next, [...model.now]);
      target.forEach((value, block) => {
        model.allowed[block] = (model.allowed[block] ?? new Set()).add(value);
      });
      model.sizes.add(target.length);
      const saved = await rollBack(disk.store, id, 7);
      model.kept.set(saved.id, [...model.now]);
      model.now = [...target];
      return settle(model);
    }
    case 'drop': {
      if (ids.length === 0) return;
      const id = ids[one.which % ids.length]!;
      model.unsure.set(id, model.kept.get(id)!);
      model.kept.delete(id);
      await drop(disk.store, id);
      return settle(model);
    }
  }
}

function freshModel(): Model {
  const model: Model = {
    now: new Array(BLOCKS).fill(0xba),
    allowed: [],
    kept: new Map(),
    unsure: new Map(),
    sizes: new Set(),
  };
  settle(model);
  return model;
}

test('the present and every generation are what they were, whatever is done', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      let file = fresh();
      let disk = open(file);
      const model = freshModel();
      for (const one of steps) {
        if (one.do === 'reopen') {
          await disk.close();
          file = new VolatileFile(file.stored());
          disk = open(file);
        } else if (one.do === 'slow' || one.do === 'quick') file.prompts = one.do === 'quick';
        else await perform(disk, model, one);
      }
      expect(await present(disk)).toEqual(model.now);
      expect(await kept(disk)).toEqual(model.kept);
      // What two maps differ in is what tells their contents apart.
      await disk.store.checkpoint();
      const trees = [...disk.store.generations].map((each) => [each.id, mapOf(disk.store, each)] as const);
      for (const [one, tree] of trees)
        for (const [other, otherTree] of trees) {
          const changed = new Set(
            atOnce(differences(tree, otherTree)).ranges.flatMap(({ offset, length }) =>
              Array.from({ length: length / BLOCK_SIZE }, (_, i) => offset / BLOCK_SIZE + i),
            ),
          );
          model.kept.get(one)!.forEach((value, block) => {
            const was = model.kept.get(other)![block];
            if (was !== undefined && was !== value) expect(changed).toContain(block);
          });
          if (one === other) expect(changed.size).toBe(0);
        }
      await disk.close();
    }),
    { numRuns: 60 },
  );
});

test('power cut at any moment: generations are there whole or not at all, and stay so', async () => {
  const chance = fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 30, size: 'max' }),
      fc.nat(120),
      chance,
      async (steps, turns, random) => {
        const file = fresh();
        const disk = open(file);
        const model = freshModel();
        let stop = false;
        const running = (async () => {
          for (const one of steps) {
            if (stop) return;
            if (one.do === 'slow' || one.do === 'quick') file.prompts = one.do === 'quick';
            else if (one.do !== 'reopen') await perform(disk, model, one);
          }
        })();
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        stop = true;
        const after = file.afterPowerCut((units) => {
          const draw = random.next().value as number;
          return draw < 0.3 ? 0 : draw < 0.6 ? units : Math.floor(random.next().value! * (units + 1));
        }, 1);
        const { allowed, sizes } = structuredClone(model);
        const [sure, unsure] = [new Map(model.kept), new Map(model.unsure)];
        const again = open(after);
        const check = async (now: number[]): Promise<void> => {
          const found = await kept(again);
          for (const [id, content] of found) expect(content).toEqual(sure.get(id) ?? unsure.get(id));
          for (const id of sure.keys()) expect(found.has(id)).toBe(true);
          expect(await present(again)).toEqual(now);
        };
        const now = await present(again);
        expect(sizes).toContain(now.length);
        now.forEach((value, block) => {
          expect(allowed[block]).toContain(value);
        });
        await check(now);
        // Places that were taken for free in error would be written to now.
        await again.store.settled();
        for (let round = 0; round < 3; round++) {
          await again.write(new Uint8Array(SIZE).fill(round + 1), 0);
          await again.store.checkpoint();
        }
        await check(now.map((value, block) => (block < BLOCKS ? 3 : value)));
        await running.catch(() => undefined);
      },
    ),
    { numRuns: 120 },
  );
});

test('a generation takes no space but for what was written since, and gives it back', async () => {
  const file = fresh();
  const disk = open(file);
  await disk.write(new Uint8Array(SIZE).fill(1), 0);
  await disk.store.settled();
  await disk.store.checkpoint();
  const used = (): number => disk.store.places().used;
  const before = used();
  const { id } = await snapshot(disk.store, '', 0);
  // Its row in the table, and pages that the present will change.
  expect(used() - before).toBeLessThan(4);
  await disk.write(new Uint8Array(SIZE).fill(2), 0);
  await disk.store.checkpoint();
  expect(used() - before).toBeGreaterThanOrEqual(BLOCKS);
  await drop(disk.store, id);
  expect(used() - before).toBeLessThan(4);
  await disk.close();
});

test('a wrong wish changes nothing', async () => {
  const disk = open(fresh());
  await expect(rollBack(disk.store, 3, 0)).rejects.toThrow('no generation 3; there is no generation yet');
  await snapshot(disk.store, '', 0);
  await expect(drop(disk.store, 3)).rejects.toThrow('no generation 3; there is: 1');
  await expect(grow(disk.store, SIZE - 1)).rejects.toThrow(/cannot be made smaller/);
  await expect(snapshot(disk.store, 'x'.repeat(64), 0)).rejects.toThrow(/at most 63 bytes/);
  await disk.write(new Uint8Array(SIZE).fill(9), 0);
  await expect(rollBack(disk.store, 3, 0)).rejects.toThrow(/no generation 3/);
  await disk.close();
  expect((await present(disk))[0]).toBe(9);
});
