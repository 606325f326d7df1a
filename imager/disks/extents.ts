/** The runs of an overlay, from its map and its base's. Pure. */
import { BASE, type BlockMap, DATA } from './block-map.ts';
import type { Extent } from './disk.ts';
import { BLOCK_SIZE } from './map-format.ts';
import type { ZeroMap } from './zero-map.ts';

/** As Disk.extents has it. What the overlay has of its own is dirty, zeroes too; nothing of it has space but data. */
export function overlayExtents(
  map: BlockMap,
  zeros: ZeroMap,
  { offset, length, most }: { offset: number; length: number; most: number },
): Extent[] {
  const end = offset + length;
  const limit = Math.ceil(end / BLOCK_SIZE);
  const extents: Extent[] = [];
  for (let at = offset; at < end && extents.length < most; ) {
    const block = Math.floor(at / BLOCK_SIZE);
    const state = map.state(block);
    const stop = Math.min(end, map.runEnd(block, limit) * BLOCK_SIZE);
    if (state === BASE) {
      const runs = zeros.extents(at, stop - at, most - extents.length);
      for (const run of runs) extents.push(run);
    } else extents.push({ length: stop - at, state: state === DATA ? 'data' : 'hole', dirty: true });
    at = stop;
  }
  return extents;
}
