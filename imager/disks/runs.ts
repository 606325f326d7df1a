/** Runs of places. */
import type { Bits } from './bits.ts';
import type { PlaceRun } from './format.ts';

/** The runs from `from` up to, not including, `to` that are not set in `bits`. */
export function* clearRuns(bits: Bits, from: number, to: number): Generator<PlaceRun> {
  for (let at = bits.nextClear(from, to); at < to; ) {
    const stop = bits.nextSet(at, to);
    yield { place: at, count: stop - at };
    at = bits.nextClear(stop, to);
  }
}

/** The parts of runs that are set in `bits`, and the others. */
export function split(bits: Bits, runs: readonly PlaceRun[]): { set: PlaceRun[]; clear: PlaceRun[] } {
  const parts = { set: [] as PlaceRun[], clear: [] as PlaceRun[] };
  for (const { place, count } of runs) {
    const end = place + count;
    for (let at = place; at < end; ) {
      const set = bits.has(at);
      const stop = set ? bits.nextClear(at, end) : bits.nextSet(at, end);
      append(set ? parts.set : parts.clear, { place: at, count: stop - at });
      at = stop;
    }
  }
  return parts;
}

/** Adds an extent to a list, to its last one where it follows that. */
export function append(list: PlaceRun[], { place, count }: PlaceRun): void {
  const last = list[list.length - 1];
  if (last !== undefined && last.place + last.count === place) last.count += count;
  else list.push({ place, count });
}
