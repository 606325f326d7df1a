/** What differs between two maps of one disk. */
import { BLOCK_SIZE, FAN_OUT } from './format.ts';
import { ALL_BASE, type PageWords } from './map-page.ts';
import type { MapTree } from './map-tree.ts';
import type { Steps } from './turns.ts';

/** Bytes of a disk. */
export interface ByteRange {
  offset: number;
  length: number;
}

/**
 * The ranges, of whole blocks, and their bytes in all, that were written, zeroed or trimmed between two maps that have no unwritten changes;
 * what they share is not looked into. A block that was written with what it had counts as changed. The last may reach
 * beyond the disk's end. Throws FormatError, DiskError.
 */
export function* differences(a: MapTree, b: MapTree): Steps<{ bytes: number; ranges: ByteRange[] }> {
  const ranges: ByteRange[] = [];
  let blocks = 0;
  const leaves = Math.ceil(Math.max(a.blocks, b.blocks) / FAN_OUT);
  for (let leaf = 0; leaf < leaves; leaf++) {
    yield;
    const [one, other] = [leafOf(a, leaf), leafOf(b, leaf)];
    if (one === undefined && other === undefined) continue;
    if (one?.place === other?.place) continue;
    const [left, right] = [one?.words() ?? ALL_BASE, other?.words() ?? ALL_BASE];
    for (let entry = 0; entry < FAN_OUT; entry++)
      if (left[2 * entry] !== right[2 * entry]) {
        append(ranges, leaf * FAN_OUT + entry);
        blocks++;
      }
  }
  return { bytes: blocks * BLOCK_SIZE, ranges };
}

function leafOf(tree: MapTree, leaf: number): { place: number; words: () => PageWords } | undefined {
  if (leaf * FAN_OUT >= tree.blocks) return undefined;
  return { place: tree.pointer(0, leaf).place, words: () => tree.leaf(leaf) };
}

function append(ranges: ByteRange[], block: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.offset + last.length === block * BLOCK_SIZE) last.length += BLOCK_SIZE;
  else ranges.push({ offset: block * BLOCK_SIZE, length: BLOCK_SIZE });
}
