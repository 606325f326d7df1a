/** What differs between two maps of one disk. */
import { type Changed, ChangedRanges } from './changed-ranges.ts';
import { FAN_OUT } from './format.ts';
import { ALL_BASE, type PageWords } from './map-page.ts';
import type { MapTree } from './map-tree.ts';
import type { Steps } from './turns.ts';

/**
 * What was written, zeroed or trimmed between two maps that have no unwritten changes; what they share is not looked into. A block
 * that was written with what it had counts as changed. The last range may reach beyond the disk's end. Throws FormatError, DiskError.
 */
export function* differences(a: MapTree, b: MapTree): Steps<Changed> {
  const changed = new ChangedRanges();
  const leaves = Math.ceil(Math.max(a.blocks, b.blocks) / FAN_OUT);
  for (let leaf = 0; leaf < leaves; leaf++) {
    yield;
    const [one, other] = [leafOf(a, leaf), leafOf(b, leaf)];
    if (one === undefined && other === undefined) continue;
    if (one?.place === other?.place) continue;
    const [left, right] = [one?.words() ?? ALL_BASE, other?.words() ?? ALL_BASE];
    for (let entry = 0; entry < FAN_OUT; entry++)
      if (left[2 * entry] !== right[2 * entry]) changed.add(leaf * FAN_OUT + entry);
  }
  return changed.found();
}

function leafOf(tree: MapTree, leaf: number): { place: number; words: () => PageWords } | undefined {
  if (leaf * FAN_OUT >= tree.blocks) return undefined;
  return { place: tree.pointer(0, leaf).place, words: () => tree.leaf(leaf) };
}
