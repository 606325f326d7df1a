/** Changes of a map that concern many blocks at once. */
import { FAN_OUT, SUPERBLOCK_PLACES } from './format.ts';
import type { StoredRun } from './map-run.ts';
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
      const before = tree.clear(block);
      if (before >= SUPERBLOCK_PLACES) released(before);
      block++;
    }
  }
}

/** Blocks from `block` on are a run. Throws as the map's page() does. */
export function putBlocks(tree: MapTree, block: number, run: StoredRun): void {
  const { place, from, count } = run;
  for (let done = 0; done < count; ) {
    const part = Math.min(count - done, FAN_OUT - ((block + done) % FAN_OUT));
    tree.put(block + done, { ...run, place: place + done, from: from + done, count: part });
    done += part;
  }
}
