/** Many entries of a leaf at once. */
import { SUPERBLOCK_PLACES, ZERO } from './format.ts';
import type { PageWords } from './map-page.ts';

/** Blocks that are at `place` and the places behind it, one for each of `crcs`. */
export interface StoredRun {
  place: number;
  crcs: Uint32Array;
  /** Told the places that they had. */
  released: (place: number, count: number) => void;
}

/** Makes a run the entries of a leaf from `first` on. Gives how many more than before are data, and zero. */
export function putRun(
  words: PageWords,
  first: number,
  { place, crcs, released }: StoredRun,
): { data: number; zero: number } {
  let [data, zero, from, run] = [crcs.length, 0, 0, 0];
  for (let i = 0; i < crcs.length; i++) {
    const at = 2 * (first + i);
    const before = words[at]!;
    words[at] = place + i;
    words[at + 1] = crcs[i]!;
    if (before === ZERO) zero--;
    if (before < SUPERBLOCK_PLACES) continue;
    data--;
    if (before !== from + run) {
      if (run > 0) released(from, run);
      from = before;
      run = 0;
    }
    run++;
  }
  if (run > 0) released(from, run);
  return { data, zero };
}
