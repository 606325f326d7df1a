/** The runs of an overlay, from its map and its base's. Pure. */
import type { BaseContent } from './block-reader.ts';
import type { Extent } from './disk.ts';
import { BASE, BLOCK_SIZE, FAN_OUT, SUPERBLOCK_PLACES } from './format.ts';
import type { MapTree } from './map-tree.ts';

/** As Disk.extents has it. What the overlay has of its own is dirty, zeroes too; nothing of it has space but data. */
export function overlayExtents(
  tree: MapTree,
  base: Pick<BaseContent, 'size' | 'zeros'>,
  { offset, length, most }: { offset: number; length: number; most: number },
): Extent[] {
  const end = offset + length;
  const limit = Math.ceil(end / BLOCK_SIZE);
  const extents: Extent[] = [];
  for (let at = offset; at < end && extents.length < most; ) {
    const { place, to } = runAt(tree, Math.floor(at / BLOCK_SIZE), limit);
    let stop = Math.min(end, to * BLOCK_SIZE);
    if (place >= SUPERBLOCK_PLACES) extents.push({ length: stop - at, state: 'data', dirty: true });
    else if (place !== BASE) extents.push({ length: stop - at, state: 'hole', dirty: true });
    else if (at >= base.size) extents.push({ length: stop - at, state: 'hole', dirty: false });
    else {
      stop = Math.min(stop, base.size);
      for (const run of base.zeros.extents(at, stop - at, most - extents.length)) extents.push(run);
    }
    at = stop;
  }
  return extents;
}

/** Of what kind a block is, and the first one after it, at most `limit`, that is not; or a leaf's end. */
export function runAt(tree: MapTree, block: number, limit: number): { place: number; to: number } {
  const words = tree.leaf(Math.floor(block / FAN_OUT));
  const kind = (entry: number): number => Math.min(words[2 * entry]!, SUPERBLOCK_PLACES);
  const first = block % FAN_OUT;
  const stop = Math.min(FAN_OUT, first + limit - block);
  let entry = first + 1;
  while (entry < stop && kind(entry) === kind(first)) entry++;
  return { place: kind(first), to: block + entry - first };
}
