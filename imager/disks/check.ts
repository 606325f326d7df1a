/** Verifies all that an overlay's file holds, and repairs it: with nobody using the disk. */
import { crc32 } from 'node:zlib';
import { Bits } from './bits.ts';
import type { BlockFile } from './block-file.ts';
import { BLOCK_SIZE, blockCount, FAN_OUT, type Pointer, SUPERBLOCK_PLACES, ZERO } from './format.ts';
import type { Generation } from './generation-table.ts';
import { MapTree } from './map-tree.ts';
import { OverlayStore, type StoreHost } from './overlay-store.ts';
import { recover } from './recover.ts';

/** Something that is not as it was written. */
export interface Damage {
  what: 'superblock' | 'generations' | 'journal' | 'map page' | 'block';
  /** Of which generation; 0: of the disk as it is. Other generations may share it. */
  generation: number;
  /** Bytes of the disk that cannot be read. Absent where it costs none. */
  offset?: number;
  length?: number;
  /** What to tell people. */
  message: string;
}

export interface CheckReport {
  /** Blocks that were read and verified. */
  blocks: number;
  generations: number;
  damages: Damage[];
}

/** Told the share that is done, 0 to 1. */
export type Progress = (share: number) => void;

/** Blocks looked at before others have their turn. */
const BLOCKS_AT_ONCE = 256;

/** Reads everything. Throws FormatError where nothing of it can be told: no superblock is valid; and DiskError. */
export async function check(file: BlockFile, progress: Progress): Promise<CheckReport> {
  const damages: Damage[] = [];
  const found = recover(file, (level, index, pointer) => damages.push(pageDamage(0, level, index, pointer)));
  for (const fault of found.faults)
    damages.push({
      what: 'superblock',
      generation: 0,
      message: `superblock, ${fault}; the other copy will do`,
    });
  for (const lost of found.lost) damages.push({ ...lost, generation: 0 });
  const { data } = found.tree.counts();
  const total = found.generations.reduce((sum, { blocks }) => sum + blocks.data, data);
  const walk = new Walk(file, total, progress);
  await walk.through(found.tree, (block, place) => damages.push(blockDamage(0, block, place)));
  for (const generation of found.generations) {
    const tree = treeOf(file, generation, damages);
    await walk.through(tree, (block, place) => damages.push(blockDamage(generation.id, block, place)));
  }
  progress(1);
  return { blocks: walk.verified, generations: found.generations.length, damages };
}

/**
 * Makes a damaged overlay one that can be used: what is damaged reads as zeroes from then on, in the present and in
 * generations, and both copies of the superblock are good. Gives what was damaged. Takes the file over, and closes it. Throws
 * FormatError where nothing can be told, and DiskError.
 */
export async function repair(file: BlockFile, host: StoreHost, progress: Progress): Promise<CheckReport> {
  const damages: Damage[] = [];
  const { faults, lost } = recover(file, () => {});
  for (const fault of faults)
    damages.push({ what: 'superblock', generation: 0, message: `superblock, ${fault}; written anew` });
  for (const each of lost) damages.push({ ...each, generation: 0 });
  const store = OverlayStore.open(file, host, (level, index, pointer) =>
    damages.push(pageDamage(0, level, index, pointer)),
  );
  await store.settled();
  const { data } = store.tree.counts();
  const total = store.generations.reduce((sum, { blocks }) => sum + blocks.data, data);
  const walk = new Walk(file, total, progress);
  const bad: number[] = [];
  const counts = await walk.through(store.tree, (block, place) => {
    bad.push(block);
    damages.push(blockDamage(0, block, place));
  });
  store.tree.recount(counts);
  for (const block of bad) await store.clear(block, block + 1);
  for (const generation of store.generations) {
    const before = damages.length;
    const tree = treeOf(file, generation, damages);
    const blocks: number[] = [];
    const counts = await walk.through(tree, (block, place) => {
      blocks.push(block);
      damages.push(blockDamage(generation.id, block, place));
    });
    tree.recount(counts);
    if (damages.length > before) await replace(store, generation, tree, blocks);
  }
  await store.checkpoint();
  await store.rescan();
  await store.close();
  progress(1);
  return { blocks: walk.verified, generations: store.generations.length, damages };
}

/** Gives a generation the map `tree`, with zeroes for `bad` blocks. */
function replace(store: OverlayStore, { id }: Generation, tree: MapTree, bad: number[]): Promise<void> {
  for (const block of bad) tree.clear(block);
  return store.checkpoint({
    alter: ({ generations, writes }) => {
      for (const page of store.captureOf(tree)) writes.push(page);
      const at = generations.findIndex((generation) => generation.id === id);
      generations[at] = { ...generations[at]!, root: tree.root, blocks: tree.counts() };
    },
  });
}

function treeOf(file: BlockFile, { id, root, size, blocks }: Generation, damages: Damage[]): MapTree {
  const tree = new MapTree(file, root, blockCount(size), blocks);
  tree.onDamage = (level, index, pointer) => damages.push(pageDamage(id, level, index, pointer));
  return tree;
}

/** Walks through maps, and verifies each place once. */
class Walk {
  readonly #file: BlockFile;
  readonly #total: number;
  readonly #progress: Progress;
  readonly #good = new Bits();
  readonly #buffer = new Uint8Array(BLOCK_SIZE);
  #looks = 0;
  verified = 0;

  constructor(file: BlockFile, total: number, progress: Progress) {
    this.#file = file;
    this.#total = total;
    this.#progress = progress;
  }

  /** Gives how many blocks the map names as data, and as zero. */
  async through(
    tree: MapTree,
    damaged: (block: number, place: number) => void,
  ): Promise<{ data: number; zero: number }> {
    const counts = { data: 0, zero: 0 };
    for (let leaf = 0; leaf * FAN_OUT < tree.blocks; leaf++) {
      // A copy: the map's own may be gone after a pause.
      const words = tree.leaf(leaf).slice();
      for (let entry = 0; entry < FAN_OUT; entry++) {
        const place = words[2 * entry]!;
        if (place === ZERO && leaf * FAN_OUT + entry < tree.blocks) counts.zero++;
        if (place < SUPERBLOCK_PLACES) continue;
        counts.data++;
        if (++this.#looks % BLOCKS_AT_ONCE === 0) {
          this.#progress(Math.min(1, this.#looks / this.#total));
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (!this.#verify(place, words[2 * entry + 1]!)) damaged(leaf * FAN_OUT + entry, place);
      }
    }
    return counts;
  }

  #verify(place: number, crc: number): boolean {
    if (this.#good.has(place)) return true;
    try {
      this.#file.readNow(this.#buffer, place * BLOCK_SIZE);
    } catch {
      return false;
    }
    if (crc32(this.#buffer) !== crc) return false;
    this.#good.add(place);
    this.verified++;
    return true;
  }
}

function blockDamage(generation: number, block: number, place: number): Damage {
  return range('block', generation, block * BLOCK_SIZE, BLOCK_SIZE, place);
}

function pageDamage(generation: number, level: number, index: number, { place }: Pointer): Damage {
  const length = FAN_OUT ** (level + 1) * BLOCK_SIZE;
  return range('map page', generation, index * length, length, place);
}

function range(
  what: Damage['what'],
  generation: number,
  offset: number,
  length: number,
  place: number,
): Damage {
  const where = generation === 0 ? 'the disk' : `generation ${generation}`;
  const message = `${what} at place ${place} is damaged: bytes ${offset} to ${offset + length - 1} of ${where}`;
  return { what, generation, offset, length, message };
}
