/**
 * Which places of an overlay's file are free. Nothing of this is in the file: a place is used where the superblock, the
 * journal or a page of some generation's map names it, which a scan finds out; so it cannot disagree with the maps, and
 * a crash leaves no place lost. Until a scan is through, places are taken at the end of the file only.
 *
 * A place that the map does not name any more is used again only once that is durable: `release` for what a journal
 * record replaced (free after the next sync; at once where none began since it was taken: README.md, "Places used
 * again"), `retire` for what a checkpoint replaces (free after its superblock is durable). A place that a kept
 * generation may name is neither: those taken since the last generation are "fresh", others stay. No I/O.
 */
import { Bits } from './bits.ts';
import { type PlaceRun, SUPERBLOCK_PLACES } from './format.ts';
import { append, clearRuns, split } from './runs.ts';

/** Runs shorter than this are no good for long writes as long as there is little to gain. */
const LEAST_RUN = 16;
/** Runs too short that are looked at before a write goes to the end of the file, some 0.1 ms; fewer after each time in vain. */
const LOOKS = 2048;
const LEAST_LOOKS = 32;

export class Space {
  readonly #used = new Bits();
  #fresh = new Bits();
  /** Taken since the last sync began: no record that names them can be known to be durable. */
  readonly #young = new Bits();
  /** Free places without space of the file system, as far as that is known. */
  readonly #holes = new Bits();
  /** Places of the file. */
  #end: number;
  #free = 0;
  #cursor = SUPERBLOCK_PLACES;
  /** Where runs of more than one place are looked for: goes round the file, a piece with each write. */
  #far = SUPERBLOCK_PLACES;
  #looks = LOOKS;
  /** No run of so many free places was found, and none has been freed since. */
  #scarce = Number.POSITIVE_INFINITY;
  #scan: { released: PlaceRun[]; retired: PlaceRun[] } | undefined;
  /** The scan came to nothing: until there is another, nothing becomes free. */
  #blind = false;
  #released: PlaceRun[] = [];
  #retired: PlaceRun[] = [];
  /** What was fresh before a generation that is not durable yet, and what of it was released or retired since. */
  #former: { fresh: Bits; released: PlaceRun[]; retired: PlaceRun[] } | undefined;

  /** Space in a file of `end` places of which nothing is known yet: a scan is under way. */
  constructor(end: number) {
    this.#end = Math.max(end, SUPERBLOCK_PLACES);
    this.beginScan();
  }

  get end(): number {
    return this.#end;
  }

  get used(): number {
    return this.#end - this.#free;
  }

  get free(): number {
    return this.#free;
  }

  /** Free places that take up space of the file system, as far as that is known. */
  get idle(): number {
    return this.#free - this.#holes.count;
  }

  get scanning(): boolean {
    return this.#scan !== undefined;
  }

  /** True where a scan failed: the file only grows. */
  get blind(): boolean {
    return this.#blind;
  }

  /**
   * `count` places, in as few runs as can be had cheaply, or `scattered` wherever there are any. They are used and fresh
   * from now on.
   */
  take(count: number, scattered = false): PlaceRun[] {
    const taken: PlaceRun[] = [];
    let wanted = count;
    if (this.#scan === undefined && this.#free > 0) {
      const least = scattered || this.#free * 4 > this.#end ? 1 : Math.min(count, LEAST_RUN);
      if (least < this.#scarce) wanted -= this.#reuse(count, least, taken);
    }
    if (wanted > 0) taken.push(this.#extend(wanted));
    return taken;
  }

  /** `count` places in one run. */
  takeRun(count: number): PlaceRun {
    const taken: PlaceRun[] = [];
    if (this.#scan === undefined && this.#free >= count && count < this.#scarce)
      this.#reuse(count, count, taken);
    return taken[0] ?? this.#extend(count);
  }

  /**
   * Takes up to `count` free places in runs of at least `least`; gives how many. Goes round the file once, but gives up
   * early where runs longer than one place are rare.
   */
  #reuse(count: number, least: number, taken: PlaceRun[]): number {
    let left = count;
    let looks = 0;
    const start = least > 1 ? this.#far : this.#cursor;
    for (const [from, to] of [
      [start, this.#end],
      [SUPERBLOCK_PLACES, start],
    ] as const) {
      for (let at = this.#used.nextClear(from, to); at < to; at = this.#used.nextClear(at, to)) {
        if (least > 1) {
          this.#far = at;
          if (++looks > this.#looks) {
            this.#looks = Math.max(LEAST_LOOKS, this.#looks / 2);
            return count - left;
          }
        }
        const stop = this.#used.nextSet(at, Math.min(to, at + left));
        if (stop - at >= Math.min(least, left)) {
          this.#take(at, stop - at);
          taken.push({ place: at, count: stop - at });
          left -= stop - at;
          this.#free -= stop - at;
          if (least > 1) this.#far = stop;
          else this.#cursor = stop;
          if (left === 0) return count;
        }
        at = stop;
      }
    }
    this.#scarce = least;
    return count - left;
  }

  #extend(count: number): PlaceRun {
    const place = this.#end;
    this.#end += count;
    this.#take(place, count);
    return { place, count };
  }

  #take(place: number, count: number): void {
    const end = place + count;
    this.#used.addRun(place, end);
    this.#fresh.addRun(place, end);
    this.#young.addRun(place, end);
    this.#holes.deleteRun(place, end);
  }

  /** Places that were taken and that nothing ever named. */
  giveBack(extents: readonly PlaceRun[]): void {
    if (this.#scan !== undefined) for (const extent of extents) this.#remember(this.#scan.released, extent);
    else this.freed(extents);
  }

  /** A journal record has something else in the stead of `count` places. */
  release(place: number, count = 1): void {
    if (this.#scan !== undefined) {
      this.#remember(this.#scan.released, { place, count });
      return;
    }
    const { set, clear } = split(this.#fresh, [{ place, count }]);
    for (const run of set) append(this.#released, run);
    if (this.#former === undefined) return;
    for (const run of split(this.#former.fresh, clear).set) append(this.#former.released, run);
  }

  /** The next checkpoint will not have a map page any more. */
  retirePage(place: number): void {
    if (this.#scan !== undefined) this.#remember(this.#scan.retired, { place, count: 1 });
    else if (this.#fresh.has(place)) append(this.#retired, { place, count: 1 });
    else if (this.#former?.fresh.has(place)) append(this.#former.retired, { place, count: 1 });
  }

  /** The next checkpoint will not have a journal segment, or table, any more. */
  retire(extent: PlaceRun): void {
    if (this.#scan !== undefined) this.#remember(this.#scan.retired, extent);
    else append(this.#retired, extent);
  }

  #remember(list: PlaceRun[], extent: PlaceRun): void {
    if (!this.#blind) append(list, extent);
  }

  /** What was released up to now: to be freed once the journal up to now is durable. */
  takeReleased(): PlaceRun[] {
    const released = this.#released;
    this.#released = [];
    return released;
  }

  /** A sync begins: records that are in the file now will be durable. */
  syncBegins(): void {
    this.#young.clear();
  }

  /** Records that replaced these places are in the file. Gives those to be freed once they are durable, frees the others. */
  replaced(extents: readonly PlaceRun[]): PlaceRun[] {
    const { set, clear } = split(this.#young, extents);
    this.freed(set);
    return clear;
  }

  /** What was retired up to now: to be freed once the checkpoint made now is durable. */
  takeRetired(): PlaceRun[] {
    const retired = this.#retired;
    this.#retired = [];
    return retired;
  }

  /** Places are free. While a scan is under way it finds that out by itself. */
  freed(extents: readonly PlaceRun[]): void {
    if (this.#scan !== undefined) return;
    for (const { place, count } of extents) {
      const end = place + count;
      this.#free += this.#used.deleteRun(place, end);
      this.#fresh.deleteRun(place, end);
      this.#former?.fresh.deleteRun(place, end);
      // The next writes go there: the kernel still has these pages, and the file system space for them.
      this.#cursor = Math.min(this.#cursor, place);
      if (count >= LEAST_RUN) [this.#far, this.#looks] = [place, LOOKS];
    }
    if (extents.length > 0) this.#scarce = Number.POSITIVE_INFINITY;
  }

  /**
   * All that the map names now is a generation's from now on, but not `unnamed`, which the map does not have yet. To be
   * followed by `kept`.
   */
  keepAll(unnamed: readonly PlaceRun[]): void {
    this.#former = { fresh: this.#fresh, released: [], retired: [] };
    this.#fresh = new Bits();
    for (const { place, count } of unnamed) this.#take(place, count);
  }

  /** The generation is durable, or nothing came of it: then what it would have kept is as it was before. */
  kept(durable: boolean): void {
    const former = this.#former;
    this.#former = undefined;
    if (former === undefined || durable) return;
    this.#fresh.addAll(former.fresh);
    for (const extent of former.released) append(this.#released, extent);
    for (const extent of former.retired) append(this.#retired, extent);
  }

  /**
   * Forgets what is used and free. The caller marks all that is used, kept generations' first; nothing that was released
   * before may wait to be freed, and of what was retired only what is marked does: the rest is free, and may be taken.
   */
  beginScan(): void {
    this.#scan = { released: [], retired: this.#retired };
    this.#blind = false;
    this.#used.clear();
    this.#fresh.clear();
    this.#holes.clear();
    [this.#released, this.#retired] = [[], []];
    this.#free = 0;
    this.#scarce = Number.POSITIVE_INFINITY;
    for (let place = 0; place < SUPERBLOCK_PLACES; place++) this.#used.add(place);
  }

  /** In a scan: a place is used, by a kept generation or only by the map as it is now. False where that was known. */
  mark(place: number, kept: boolean): boolean {
    // Of a file that lost its end. Nothing new may go there: the place is free once what is lost is replaced.
    this.#end = Math.max(this.#end, place + 1);
    if (!this.#used.add(place)) return false;
    if (!kept) this.#fresh.add(place);
    return true;
  }

  /** Not all could be marked. What becomes free is not even remembered: the next scan will find it. */
  failScan(): void {
    this.#scan = { released: [], retired: [] };
    this.#blind = true;
  }

  /** All is marked, and all that was released since the scan began is durable. */
  endScan(): void {
    const { released, retired } = this.#scan!;
    this.#scan = undefined;
    for (const { count } of clearRuns(this.#used, 0, this.#end)) this.#free += count;
    for (const { place, count } of released) this.release(place, count);
    for (const { place, count } of retired) for (let i = 0; i < count; i++) this.retirePage(place + i);
  }

  /** Makes the file's end that of its last used place; gives it. */
  shrink(): number {
    if (this.#scan !== undefined) return this.#end;
    while (this.#end > SUPERBLOCK_PLACES && !this.#used.has(this.#end - 1)) {
      this.#end--;
      this.#free--;
      this.#holes.delete(this.#end);
    }
    this.#cursor = Math.min(this.#cursor, this.#end);
    this.#far = Math.min(this.#far, this.#end);
    return this.#end;
  }

  /** Runs of at least `least` free places that are not holes throughout. */
  *idleRuns(least: number): Generator<PlaceRun> {
    if (this.#scan !== undefined) return;
    for (const run of clearRuns(this.#used, SUPERBLOCK_PLACES, this.#end)) {
      const stop = run.place + run.count;
      if (run.count >= least && this.#holes.nextClear(run.place, stop) < stop) yield run;
    }
  }

  /** The space of free places was given back to the file system. */
  punched({ place, count }: PlaceRun): void {
    this.#holes.addRun(place, place + count);
  }
}
