/** Changes of a map that concern many blocks at once. */
import { FAN_OUT, SUPERBLOCK_PLACES, ZERO } from './format.ts';
import type { MapTree } from './map-tree.ts';

/**
 * Makes the blocks from `from` up to, not including, `to` zero: whole leaves of them without an entry each. `released`
 * is told the places that blocks had, `retired` those of pages.
 */
export function clearBlocks(
  tree: MapTree,
  from: number,
  to: number,
  released: (place: number) => void,
  retired: (place: number) => void,
): void {
  for (let block = from; block < to; ) {
    if (block % FAN_OUT === 0 && block + FAN_OUT <= to) {
      tree.clearLeaf(block / FAN_OUT, released, retired);
      block += FAN_OUT;
    } else {
      const before = tree.set(block, ZERO, 0);
      if (before >= SUPERBLOCK_PLACES) released(before);
      block++;
    }
  }
}
