/** Pages of a map in memory, and on their way to the file. */
import { FAN_OUT, type PlaceRun, ZERO } from './format.ts';

/** Pages written with one call. */
const PAGES_AT_ONCE = 256;

/** Place and checksum of each of 512 blocks or pages. */
export type PageWords = Uint32Array;

export const ALL_BASE: PageWords = new Uint32Array(2 * FAN_OUT);
export const ALL_ZERO: PageWords = allZero();

function allZero(): PageWords {
  const words = new Uint32Array(2 * FAN_OUT);
  for (let i = 0; i < FAN_OUT; i++) words[2 * i] = ZERO;
  return words;
}

export interface MapPage {
  words: PageWords;
  dirty: boolean;
  /** A copy of it is on its way to the file, where its parent says it is already. */
  leaving: boolean;
  /** Asked for since it was last considered for being let go. */
  recent: boolean;
}

/** Pages on their way to the file: whole places. */
export interface PageWrite {
  place: number;
  bytes: Uint8Array;
}

/** The runs, cut to what is written with one call. */
export function* inParts(extents: readonly PlaceRun[]): Generator<PlaceRun> {
  for (const { place, count } of extents)
    for (let at = 0; at < count; at += PAGES_AT_ONCE)
      yield { place: place + at, count: Math.min(PAGES_AT_ONCE, count - at) };
}
