/** Reads a disk as one of its maps tells it: from the overlay's file, each block verified, and from the base. */
import { asDiskError, type BlockFile } from './block-file.ts';
import { firstWrong } from './checksums.ts';
import { DiskError, DONE } from './disk.ts';
import { BLOCK_SIZE, FAN_OUT, SUPERBLOCK_PLACES, ZERO } from './format.ts';
import type { PageWords } from './map-page.ts';
import type { MapTree } from './map-tree.ts';
import type { ZeroMap } from './zero-map.ts';

/** What a disk was made over. */
export interface BaseContent {
  file: BlockFile;
  /** Bytes; what is behind them reads as zeroes. */
  size: number;
  /** Which of its blocks are known to be zero. */
  zeros: ZeroMap;
  /** Throws DiskError where the image is not what it was. */
  intact(): void;
}

/** Blocks that are together where they are. */
interface Run {
  block: number;
  count: number;
  place: number;
  /** Has the first one's entry at the number `entry`, and the others' behind it. */
  words: PageWords;
  entry: number;
  /** Where they go; whole blocks. */
  out: Uint8Array;
}

/** A block that is read while it is written anew, again and again, is given up after so many times. */
const TRIES = 100;

export class BlockReader {
  readonly #name: string;
  readonly #file: BlockFile;
  readonly #base: BaseContent;
  readonly #tree: () => MapTree;

  /** `tree` gives the map, which may be another one in time. */
  constructor(name: string, file: BlockFile, base: BaseContent, tree: () => MapTree) {
    this.#name = name;
    this.#file = file;
    this.#base = base;
    this.#tree = tree;
  }

  /** Fills `target` from `offset`, without delay where the file is prompt. Rejects with DiskError. */
  read(target: Uint8Array, offset: number): Promise<void> {
    if (!this.#file.prompt(target.length) || !this.#base.file.prompt(target.length))
      return this.#readLater(target, offset);
    try {
      this.readNow(target, offset);
      return DONE;
    } catch (error) {
      return Promise.reject(asDiskError(error));
    }
  }

  /** Throws DiskError, FormatError. */
  readNow(target: Uint8Array, offset: number): void {
    const { blocks, first, finish } = wholeBlocks(target, offset);
    for (const run of this.#runs(blocks, first)) {
      if (run.place >= SUPERBLOCK_PLACES) {
        this.#file.readNow(run.out, run.place * BLOCK_SIZE);
        const bad = firstWrong(run.out, run.words, run.entry);
        if (bad >= 0) throw this.#damaged(run, bad);
      } else {
        const part = this.#ofBase(run);
        if (part !== undefined) this.#base.file.readNow(part, run.block * BLOCK_SIZE);
      }
    }
    finish();
  }

  async #readLater(target: Uint8Array, offset: number): Promise<void> {
    const { blocks, first, finish } = wholeBlocks(target, offset);
    for (let tries = 1; ; tries++) {
      try {
        await this.#tree().load(first, first + blocks.length / BLOCK_SIZE);
        // The map may be changed meanwhile.
        const runs = Array.from(this.#runs(blocks, first), withOwnEntries);
        const reads = await Promise.allSettled(runs.map((run) => this.#readRun(run)));
        const failed = reads.findIndex((read) => read.status === 'rejected');
        if (failed < 0) break;
        // Its place may have been used for something else since: then the block is elsewhere, or there again by now.
        if (tries === TRIES || (tries > 1 && !this.#moved(runs[failed]!)))
          throw (reads[failed] as PromiseRejectedResult).reason;
      } catch (error) {
        throw asDiskError(error);
      }
    }
    finish();
  }

  async #readRun(run: Run): Promise<void> {
    if (run.place >= SUPERBLOCK_PLACES) {
      await this.#file.read(run.out, run.place * BLOCK_SIZE);
      const bad = firstWrong(run.out, run.words, run.entry);
      if (bad >= 0) throw this.#damaged(run, bad);
      return;
    }
    const part = this.#ofBase(run);
    if (part !== undefined) await this.#base.file.read(part, run.block * BLOCK_SIZE);
  }

  #moved({ block, count, place, words: before, entry }: Run): boolean {
    if (place < SUPERBLOCK_PLACES) return false;
    for (let i = 0; i < count; i++) {
      const words = this.#tree().leaf(Math.floor((block + i) / FAN_OUT));
      const at = 2 * ((block + i) % FAN_OUT);
      if (words[at] !== place + i || words[at + 1] !== before[2 * (entry + i) + 1]) return true;
    }
    return false;
  }

  /** Zeroes what the base does not have of a run; gives the part that it has. */
  #ofBase({ place, block, out }: Run): Uint8Array | undefined {
    this.#base.intact();
    const there = place === ZERO ? 0 : Math.min(out.length, this.#base.size - block * BLOCK_SIZE);
    if (there >= out.length) return out;
    out.fill(0, Math.max(0, there));
    return there > 0 ? out.subarray(0, there) : undefined;
  }

  /** The range cut where its blocks are not together any more. */
  *#runs(blocks: Uint8Array, first: number): Generator<Run> {
    const end = first + blocks.length / BLOCK_SIZE;
    for (let block = first; block < end; ) {
      const words = this.#tree().leaf(Math.floor(block / FAN_OUT));
      const entry = block % FAN_OUT;
      const limit = Math.min(end - block, FAN_OUT - entry);
      const place = words[2 * entry]!;
      const step = place >= SUPERBLOCK_PLACES ? 1 : 0;
      let count = 1;
      while (count < limit && words[2 * (entry + count)] === place + step * count) count++;
      const start = (block - first) * BLOCK_SIZE;
      const whole = count * BLOCK_SIZE === blocks.length;
      const out = whole ? blocks : blocks.subarray(start, start + count * BLOCK_SIZE);
      yield { block, count, place, words, entry, out };
      block += count;
    }
  }

  /** The block of a run with that index is not as it was written. */
  #damaged({ block, place }: Run, index: number): DiskError {
    const at = (block + index) * BLOCK_SIZE;
    const text = `${this.#name}: what is stored of bytes ${at} to ${at + BLOCK_SIZE - 1} is damaged (place ${place + index})`;
    return new DiskError('EIO', text);
  }
}

function withOwnEntries(run: Run): Run {
  const { words, entry, count, place } = run;
  if (place < SUPERBLOCK_PLACES) return run;
  return { ...run, words: words.slice(2 * entry, 2 * (entry + count)), entry: 0 };
}

/** The target where it is of whole blocks; else a buffer that is, of which `finish` copies the wanted part. */
function wholeBlocks(
  target: Uint8Array,
  offset: number,
): { blocks: Uint8Array; first: number; finish: () => void } {
  const first = Math.floor(offset / BLOCK_SIZE);
  const skip = offset - first * BLOCK_SIZE;
  if (skip === 0 && target.length % BLOCK_SIZE === 0) return { blocks: target, first, finish: () => {} };
  const blocks = new Uint8Array(Math.ceil((skip + target.length) / BLOCK_SIZE) * BLOCK_SIZE);
  return { blocks, first, finish: () => target.set(blocks.subarray(skip, skip + target.length)) };
}
