/**
 * A disk through many crashes, one after another on one file: random work, cut off by a kill, a power cut that keeps some
 * writes and tears others, or a close. What was flushed is there; what was not is old or new; what an open has found is
 * not taken back by the next crash once it is flushed; generations stay what they were.
 *
 * CRASH_SECONDS=600 goes on with more seeds for that long, from CRASH_SEED on.
 */
import { expect, test } from 'vitest';
import { BlockReader } from '../../imager/disks/block-reader.ts';
import { check } from '../../imager/disks/check.ts';
import { DiskError } from '../../imager/disks/disk.ts';
import { BLOCK_SIZE } from '../../imager/disks/format.ts';
import { drop, grow, mapOf, rollBack, snapshot } from '../../imager/disks/generations.ts';
import { Overlay } from '../../imager/disks/overlay.ts';
import { emptyOverlay } from '../../imager/disks/overlay-file.ts';
import { OverlayStore } from '../../imager/disks/overlay-store.ts';
import { ZeroMap } from '../../imager/disks/zero-map.ts';
import { VolatileFile } from './volatile-file.ts';

const SECONDS = Number(process.env.CRASH_SECONDS ?? 0);
const FIRST_SEED = Number(process.env.CRASH_SEED ?? 1);
const FEW_SEEDS = 40;
const ROUNDS = 12;

/** The map has three leaves; these blocks are in the first and the last, and are all that is written to. */
const BLOCKS = 1100;
const HOT = [0, 1, 2, 3, 4, 5, 1036, 1037, 1038, 1039, 1040, 1041];
const HALF = HOT.length / 2;
const BASE_BLOCKS = 4;
/** The base has 200 in both bytes. */
const BASE_VALUE = 0xc8c8;
/** Content that blocks often have, so that a checksum fits where it should not. */
const COMMON = 77;

const base = {
  file: new VolatileFile(new Uint8Array(BASE_BLOCKS * BLOCK_SIZE).fill(200)),
  size: BASE_BLOCKS * BLOCK_SIZE,
  zeros: new ZeroMap(BASE_BLOCKS * BLOCK_SIZE),
  intact: () => {},
};

let salts = 0;
const salt = (): string => (++salts).toString(16).padStart(16, '0');
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function open(file: VolatileFile): Overlay {
  const warn = (message: string): void => {
    if (message.startsWith('free space')) throw new Error(message);
  };
  return new Overlay('disk', OverlayStore.open(file, { name: 'disk', salt, warn }), base);
}

/** Numbers from 0 to 1, the same ones for a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Read = (target: Uint8Array, offset: number) => Promise<void>;

/** Blocks are filled with one 16 bit number; -1 where one is not. */
async function valuesOf(read: Read): Promise<number[]> {
  return Promise.all(
    HOT.map(async (block) => {
      const words = new Uint16Array(BLOCK_SIZE / 2);
      await read(new Uint8Array(words.buffer), block * BLOCK_SIZE);
      return words.every((word) => word === words[0]) ? words[0]! : -1;
    }),
  );
}

class Run {
  readonly #seed: number;
  readonly #random: () => number;
  #file: VolatileFile;
  /** What the disk reads as, and what else a crash may leave of it. */
  #now: number[] = HOT.map((block) => (block < BASE_BLOCKS ? BASE_VALUE : 0));
  #allowed: Set<number>[];
  readonly #kept = new Map<number, number[]>();
  #value = 0;
  readonly #steps: string[] = [];
  /** Calls under way, and the blocks they are of. */
  #calls: Promise<unknown>[] = [];
  readonly #busy = new Set<number>();

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = randomFrom(seed);
    const made = { name: 'b', size: base.size, digest: '00'.repeat(32) };
    this.#file = new VolatileFile(emptyOverlay(made, BLOCKS * BLOCK_SIZE, salt()));
    this.#allowed = this.#now.map((value) => new Set([value]));
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  #wrong(what: string): Error {
    return new Error(`seed ${this.#seed}: ${what}, after ${this.#steps.slice(-60).join('; ')}`);
  }

  async rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round++) {
      const disk = open(this.#file);
      if (this.#random() < 0.7) await disk.store.settled();
      await this.#compare(disk);
      await this.#compareKept(disk);
      for (let steps = this.#below(40); steps > 0; steps--) await this.#step(disk);
      await this.#end(disk);
      if (this.#random() > 0.15) continue;
      const { damages } = await check(new VolatileFile(this.#file.content()), () => {});
      if (damages.length > 0) throw this.#wrong(damages[0]!.message);
    }
  }

  /** What the disk has is something it may have. */
  async #compare(disk: Overlay): Promise<number[]> {
    const seen = await valuesOf((target, offset) => disk.read(target, offset));
    for (const [i, value] of seen.entries())
      if (!this.#allowed[i]!.has(value))
        throw this.#wrong(`block ${HOT[i]} is ${value}, none of ${[...this.#allowed[i]!]}`);
    return seen;
  }

  async #compareKept(disk: Overlay): Promise<void> {
    for (const generation of disk.store.generations) {
      const wanted = this.#kept.get(generation.id);
      // It was being made when the crash came.
      if (wanted === undefined) continue;
      const tree = mapOf(disk.store, generation);
      const reader = new BlockReader('generation', this.#file, base, () => tree);
      const seen = await valuesOf((target, offset) => reader.read(target, offset));
      if (seen.join() !== wanted.join())
        throw this.#wrong(`generation ${generation.id} is ${seen}, not ${wanted}`);
    }
  }

  /** All calls are done: this is what the disk has, and a crash leaves nothing else. */
  #sure(values: number[]): void {
    this.#now = values.slice();
    this.#allowed = values.map((value) => new Set([value]));
  }

  async #done(): Promise<void> {
    await Promise.all(this.#calls.splice(0));
    this.#busy.clear();
  }

  /** Calls that are under way at once never have a block in common: what it has then nobody could tell. */
  async #claim(from: number, count: number): Promise<void> {
    const blocks = Array.from({ length: count }, (_, i) => from + i);
    if (blocks.some((block) => this.#busy.has(block))) await this.#done();
    for (const block of blocks) this.#busy.add(block);
  }

  #put(from: number, values: number[]): void {
    for (const [i, value] of values.entries()) {
      this.#allowed[from + i]!.add(value);
      this.#now[from + i] = value;
    }
  }

  /** A run of hot blocks that lie side by side. */
  #range(): { from: number; count: number } {
    const from = this.#below(HOT.length);
    return { from, count: Math.min(1 + this.#below(3), (from < HALF ? HALF : HOT.length) - from) };
  }

  async #step(disk: Overlay): Promise<void> {
    this.#file.prompts = this.#random() < 0.7;
    const which = this.#random();
    if (which < 0.45) await this.#write(disk);
    else if (which < 0.6) await this.#trim(disk);
    else if (which < 0.75) {
      this.#steps.push('flush');
      await this.#done();
      await disk.flush();
      this.#sure(this.#now.slice());
    } else if (which < 0.83) {
      this.#steps.push('checkpoint');
      this.#calls.push(disk.store.checkpoint());
    } else if (which < 0.88) await this.#snapshot(disk);
    else if (which < 0.93) await this.#useGeneration(disk, which < 0.91);
    else if (which < 0.94) {
      this.#steps.push('grow');
      this.#calls.push(grow(disk.store, disk.size + BLOCK_SIZE));
    } else if (which < 0.97) await this.#short(disk);
    else {
      const ticks = this.#below(6);
      this.#steps.push(`${ticks} ticks`);
      for (let i = 0; i < ticks; i++) await tick();
    }
  }

  #next(): number {
    this.#value = (this.#value % 0x7fff) + 1;
    return this.#value;
  }

  async #write(disk: Overlay): Promise<void> {
    const { from, count } = this.#range();
    await this.#claim(from, count);
    const values = Array.from({ length: count }, () => (this.#random() < 0.2 ? COMMON : this.#next()));
    const words = new Uint16Array((count * BLOCK_SIZE) / 2);
    for (const [i, value] of values.entries())
      words.fill(value, (i * BLOCK_SIZE) / 2, ((i + 1) * BLOCK_SIZE) / 2);
    this.#put(from, values);
    this.#steps.push(`write ${from} ${values}`);
    this.#calls.push(disk.write(new Uint8Array(words.buffer), HOT[from]! * BLOCK_SIZE));
  }

  async #trim(disk: Overlay): Promise<void> {
    const all = this.#random() < 0.3;
    const { from, count } = all ? { from: 0, count: HOT.length } : this.#range();
    await this.#claim(from, count);
    this.#put(from, new Array(count).fill(0));
    this.#steps.push(`trim ${from} ${count}`);
    const [offset, length] = all ? [0, BLOCKS * BLOCK_SIZE] : [HOT[from]! * BLOCK_SIZE, count * BLOCK_SIZE];
    this.#calls.push(disk.trim(offset, length));
  }

  async #snapshot(disk: Overlay): Promise<void> {
    await this.#done();
    const values = this.#now.slice();
    this.#steps.push('snapshot');
    const { id } = await snapshot(disk.store, 'g', 1);
    this.#kept.set(id, values);
    this.#sure(values);
  }

  /** What fails for lack of space, where the file has no free places for it, changes nothing. */
  async #short(disk: Overlay): Promise<void> {
    await this.#done();
    this.#file.room = this.#file.size();
    const { size } = disk;
    try {
      const which = this.#below(3);
      this.#steps.push(`short of space: ${['checkpoint', 'snapshot', 'grow'][which]}`);
      if (which === 0) await disk.store.checkpoint();
      else if (which === 1) await this.#snapshot(disk);
      // To another level of the map, if it goes so far.
      else await grow(disk.store, size + 512 * 512 * BLOCK_SIZE);
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'ENOSPC') throw error;
      this.#steps.push('failed');
      if (disk.size !== size) throw this.#wrong('it has grown all the same');
    }
    this.#file.room = Number.POSITIVE_INFINITY;
  }

  async #useGeneration(disk: Overlay, back: boolean): Promise<void> {
    await this.#done();
    const { generations } = disk.store;
    const id = generations[this.#below(generations.length)]?.id;
    if (id === undefined) return;
    if (!back) {
      this.#steps.push(`drop ${id}`);
      this.#kept.delete(id);
      this.#calls.push(drop(disk.store, id));
      if (this.#random() < 0.5) await this.#done();
      return;
    }
    const values = this.#kept.get(id);
    if (values === undefined) return;
    const before = this.#now.slice();
    this.#steps.push(`roll back ${id}`);
    this.#kept.set((await rollBack(disk.store, id, 1)).id, before);
    this.#sure(values.slice());
  }

  /** Ends what uses the file, and opens what is left of it; what is seen then, and flushed, stays. */
  async #end(disk: Overlay): Promise<void> {
    const how = this.#random();
    if (how < 0.2) {
      await this.#done();
      this.#steps.push('close');
      await disk.close();
      this.#sure(this.#now.slice());
      this.#file = new VolatileFile(this.#file.stored());
      return;
    }
    const power = how >= 0.5;
    this.#steps.push(power ? 'power cut' : 'kill');
    const lost = this.#random();
    const kept = (units: number): number => {
      const one = this.#random();
      if (one < lost * 0.6) return 0;
      return one < 0.8 ? units : Math.floor(this.#random() * (units + 1));
    };
    const left = power ? this.#file.afterPowerCut(kept, 1) : new VolatileFile(this.#file.content());
    // Some of what was under way is acknowledged only after that moment.
    await Promise.race([Promise.allSettled(this.#calls.splice(0)), tick()]);
    this.#busy.clear();
    const next = open(left);
    if (power) await next.store.settled();
    this.#sure(await this.#compare(next));
    await next.flush();
    this.#file = new VolatileFile(left.content());
  }
}

test(
  'crash after crash, what was flushed and what was kept is there',
  async () => {
    const end = Date.now() + 1000 * SECONDS;
    let seed = FIRST_SEED;
    for (; seed < FIRST_SEED + FEW_SEEDS || Date.now() < end; seed++) await new Run(seed).rounds(ROUNDS);
    expect(seed).toBeGreaterThanOrEqual(FIRST_SEED + FEW_SEEDS);
  },
  1000 * (SECONDS + 120),
);
