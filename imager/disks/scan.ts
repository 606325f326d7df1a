/** Finds out which places of an overlay's file are used: all that its superblock, journal and maps name. */
import type { BlockFile } from './block-file.ts';
import { BLOCK_SIZE, blockCount, FAN_OUT, type PlaceRun, SUPERBLOCK_PLACES } from './format.ts';
import type { Generation } from './generation-table.ts';
import { MapTree } from './map-tree.ts';
import type { Space } from './space.ts';
import type { Superblock } from './superblock.ts';

/** Leaves looked at before others have their turn. */
const LEAVES_AT_ONCE = 128;

export interface ScanInput {
  file: BlockFile;
  space: Space;
  superblock: Superblock;
  generations: readonly Generation[];
  /** The map as it is, and goes on to be changed. */
  tree: MapTree;
  /** What else is used. */
  used: readonly PlaceRun[];
}

/** Marks all that is used; `stopped` ends it early. Rejects with FormatError, DiskError. */
export async function scan(input: ScanInput, stopped: () => boolean): Promise<void> {
  const { file, space, superblock, generations, tree, used } = input;
  const none = { data: 0, zero: 0 };
  const prompt = (): boolean => file.prompt(BLOCK_SIZE);
  for (const { root, size } of generations)
    await walk(
      new MapTree(file, root, blockCount(size), none),
      space,
      { kept: true, blocks: true, prompt },
      stopped,
    );
  await walk(tree, space, { kept: false, blocks: true, prompt }, stopped);
  // The pages of the last checkpoint are used until the next one; blocks that only they name are not.
  const saved = new MapTree(file, superblock.root, blockCount(superblock.size), none);
  await walk(saved, space, { kept: false, blocks: false, prompt }, stopped);
  for (const { place, count } of used) for (let at = place; at < place + count; at++) space.mark(at, false);
}

async function walk(
  tree: MapTree,
  space: Space,
  { kept, blocks, prompt }: { kept: boolean; blocks: boolean; prompt: () => boolean },
  stopped: () => boolean,
): Promise<void> {
  const mark = (place: number): boolean => place < SUPERBLOCK_PLACES || space.mark(place, kept);
  let looks = 0;
  const visit = async (level: number, index: number): Promise<void> => {
    if (level === 0) {
      if (++looks % LEAVES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
      if (stopped()) return;
      // A leaf that a cold cache does not have is read without keeping others waiting.
      if (blocks && !prompt()) await tree.load(index * FAN_OUT, index * FAN_OUT + 1);
    }
    const { place } = tree.pointer(level, index);
    const fresh = mark(place);
    // What a page that was met before names was marked then, unless it was changed since. Pages above the leaves
    // do not tell whether something below them was.
    if (level === 0 && (!blocks || ((!fresh || place < SUPERBLOCK_PLACES) && !tree.isDirty(0, index))))
      return;
    const words = tree.page(level, index);
    if (level === 0) for (let at = 0; at < words.length; at += 2) mark(words[at]!);
    else
      for (let child = index * FAN_OUT; child < (index + 1) * FAN_OUT; child++) {
        if (child * FAN_OUT ** level >= tree.blocks) return;
        await visit(level - 1, child);
      }
  };
  await visit(tree.levels - 1, 0);
}
