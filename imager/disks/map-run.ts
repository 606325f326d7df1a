/** Many entries of a leaf at once. */
import { SUPERBLOCK_PLACES, ZERO } from './format.ts';
import type { PageWords } from './map-page.ts';

/** `count` blocks that are at `place` and the places behind it; their checksums are in `crcs` from `from` on. */
export interface StoredRun {
  place: number;
  count: number;
  crcs: Uint32Array;
  from: number;
  /** Told the places that they had. */
  released: (place: number, count: number) => void;
}

/** Makes a run the entries of a leaf from `first` on. Gives how many more than before are data, and zero. */
export function putRun(
  words: PageWords,
  first: number,
  { place, count, crcs, from, released }: StoredRun,
): { data: number; zero: number } {
  let [data, zero, former, run] = [count, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const at = 2 * (first + i);
    const before = words[at]!;
    words[at] = place + i;
    words[at + 1] = crcs[from + i]!;
    if (before === ZERO) zero--;
    if (before < SUPERBLOCK_PLACES) continue;
    data--;
    if (before !== former + run) {
      if (run > 0) released(former, run);
      former = before;
      run = 0;
    }
    run++;
  }
  if (run > 0) released(former, run);
  return { data, zero };
}
