/**
 * The map of a disk in memory: its pages as far as they were needed, each loaded (and verified) when it is first asked
 * for. A leaf is a page of level 0; leaf L says where blocks 512 L to 512 L + 511 are, entry by entry: place, CRC-32.
 *
 * What was changed since the last checkpoint stays in memory; of the rest so many leaves as CLEAN_LEAVES says.
 */
import { crc32 } from 'node:zlib';
import type { BlockFile } from './block-file.ts';
import {
  BASE,
  BLOCK_SIZE,
  FAN_OUT,
  FormatError,
  levelCount,
  type Pointer,
  SUPERBLOCK_PLACES,
  ZERO,
} from './format.ts';
import { ALL_BASE, ALL_ZERO, inParts, type MapPage, type PageWords, type PageWrite } from './map-page.ts';
import { putRun, type StoredRun } from './map-run.ts';
import type { Space } from './space.ts';

/** 4 MiB: the map of 2 GiB. */
const CLEAN_LEAVES = 1024;
export class MapTree {
  readonly #file: BlockFile;
  #root: Pointer;
  #blocks: number;
  /** By level, then by index in the level. */
  readonly #pages: Map<number, MapPage>[];
  #data: number;
  #zero: number;
  #dirtyLeaves = 0;
  /** Told a page that is damaged, or not read, so without its checksum: it counts as zeroes then. Without it that is an error. */
  onDamage: ((level: number, index: number, pointer: Pointer) => void) | undefined;

  constructor(file: BlockFile, root: Pointer, blocks: number, counts: { data: number; zero: number }) {
    this.#file = file;
    this.#root = root;
    this.#blocks = blocks;
    this.#pages = Array.from({ length: levelCount(blocks) }, () => new Map());
    this.#data = counts.data;
    this.#zero = counts.zero;
  }

  get blocks(): number {
    return this.#blocks;
  }

  get levels(): number {
    return this.#pages.length;
  }

  get root(): Pointer {
    return this.#root;
  }

  /** How many blocks are data, and how many are known to be zero. */
  counts(): { data: number; zero: number } {
    // Of a map with damaged pages nobody knows: no reason to make no more checkpoints.
    return { data: Math.max(0, this.#data), zero: Math.max(0, this.#zero) };
  }

  /** All blocks were counted. */
  recount({ data, zero }: { data: number; zero: number }): void {
    this.#data = data;
    this.#zero = zero;
  }

  /** Leaves that a checkpoint would write. */
  get dirtyLeaves(): number {
    return this.#dirtyLeaves;
  }

  /** True where a page in memory is not as it is in the file. */
  isDirty(level: number, index: number): boolean {
    return this.#pages[level]!.get(index)?.dirty === true;
  }

  /** Bytes of pages in memory. */
  get memory(): number {
    return this.#pages.reduce((sum, level) => sum + level.size * BLOCK_SIZE, 0);
  }

  /** The entries of a leaf. For reading only, and only until something else is asked of the map. */
  leaf(index: number): PageWords {
    return this.page(0, index);
  }

  /** The entries of a page of any level. For reading only. Throws FormatError, DiskError. */
  page(level: number, index: number): PageWords {
    const found = this.#pages[level]!.get(index);
    if (found !== undefined) {
      found.recent = true;
      return found.words;
    }
    const pointer = this.pointer(level, index);
    if (pointer.place < SUPERBLOCK_PLACES) return pointer.place === ZERO ? ALL_ZERO : ALL_BASE;
    const words = new Uint32Array(2 * FAN_OUT);
    try {
      this.#file.readNow(new Uint8Array(words.buffer), pointer.place * BLOCK_SIZE);
    } catch (error) {
      if (this.onDamage === undefined) throw error;
    }
    return this.#keep(level, index, pointer, words);
  }

  /** Where a page was written last. */
  pointer(level: number, index: number): Pointer {
    if (level === this.levels - 1) return this.#root;
    const words = this.page(level + 1, Math.floor(index / FAN_OUT));
    const at = 2 * (index % FAN_OUT);
    return { place: words[at]!, crc: words[at + 1]! };
  }

  /** Has the leaves of blocks `from` up to, not including, `to` in memory without keeping others from their turn. */
  async load(from: number, to: number): Promise<void> {
    for (let leaf = Math.floor(from / FAN_OUT); leaf * FAN_OUT < to; leaf++)
      for (let level = this.levels - 1; level >= 0; level--) {
        const index = Math.floor(leaf / FAN_OUT ** level);
        // A page that moved while it was read is read again where it is now.
        for (let pointer = this.#missing(level, index); pointer !== undefined; ) {
          const words = new Uint32Array(2 * FAN_OUT);
          await this.#file.read(new Uint8Array(words.buffer), pointer.place * BLOCK_SIZE);
          const now = this.#missing(level, index);
          if (now === undefined) break;
          if (now.place === pointer.place && now.crc === pointer.crc) {
            this.#keep(level, index, pointer, words);
            break;
          }
          pointer = now;
        }
      }
  }

  #missing(level: number, index: number): Pointer | undefined {
    if (this.#pages[level]!.has(index)) return undefined;
    const pointer = this.pointer(level, index);
    return pointer.place < SUPERBLOCK_PLACES ? undefined : pointer;
  }

  #keep(level: number, index: number, pointer: Pointer, words: PageWords): PageWords {
    if (crc32(new Uint8Array(words.buffer)) !== pointer.crc) {
      const text = `map page of level ${level} at place ${pointer.place} is damaged: it tells where the disk's bytes from ${index * FAN_OUT ** (level + 1) * BLOCK_SIZE} are`;
      if (this.onDamage === undefined) throw new FormatError(text);
      this.onDamage(level, index, pointer);
      return this.#own(level, index, ALL_ZERO);
    }
    this.#add(level, index, { words, dirty: false, leaving: false, recent: true });
    return words;
  }

  #add(level: number, index: number, page: MapPage): void {
    const pages = this.#pages[level]!;
    if (level === 0 && pages.size >= CLEAN_LEAVES) this.#evict(pages);
    pages.set(index, page);
  }

  /** Lets one or two leaves go that nobody asked for lately. */
  #evict(pages: Map<number, MapPage>): void {
    let looks = 4;
    for (const [index, page] of pages) {
      pages.delete(index);
      if (page.dirty || page.leaving || page.recent) {
        page.recent = false;
        pages.set(index, page);
      }
      if (--looks === 0) return;
    }
  }

  /** The page, in memory, to be changed. */
  #own(level: number, index: number, words = this.page(level, index)): PageWords {
    let page = this.#pages[level]!.get(index);
    if (page === undefined) {
      page = { words: words.slice(), dirty: false, leaving: false, recent: true };
      this.#add(level, index, page);
    }
    this.#soil(level, page);
    return page.words;
  }

  #soil(level: number, page: MapPage): void {
    if (level === 0 && !page.dirty) this.#dirtyLeaves++;
    page.dirty = true;
  }

  /** Makes a block zero. Gives the place it had. Throws as page() does. */
  clear(block: number): number {
    const words = this.#own(0, Math.floor(block / FAN_OUT));
    const at = 2 * (block % FAN_OUT);
    const before = words[at]!;
    words[at] = ZERO;
    words[at + 1] = 0;
    this.#uncount(before);
    this.#zero++;
    return before;
  }

  /** See putRun: for blocks from `block` on, of one leaf. Throws as page() does. */
  put(block: number, run: StoredRun): void {
    const { data, zero } = putRun(this.#own(0, Math.floor(block / FAN_OUT)), block % FAN_OUT, run);
    this.#data += data;
    this.#zero += zero;
  }

  #uncount(place: number): void {
    if (place >= SUPERBLOCK_PLACES) this.#data--;
    else if (place === ZERO) this.#zero--;
  }

  /**
   * Makes all blocks of a leaf zero, where the disk has all 512 of them. `released` is told the places of its blocks,
   * `retired` that of its page.
   */
  clearLeaf(index: number, released: (place: number) => void, retired: (place: number) => void): void {
    const words = this.page(0, index);
    if (words === ALL_ZERO) return;
    for (let at = 0; at < words.length; at += 2) {
      this.#uncount(words[at]!);
      if (words[at]! >= SUPERBLOCK_PLACES) released(words[at]!);
    }
    this.#zero += FAN_OUT;
    if (this.levels === 1) {
      this.#own(0, index).set(ALL_ZERO);
      return;
    }
    const { place } = this.pointer(0, index);
    if (place >= SUPERBLOCK_PLACES) retired(place);
    if (this.isDirty(0, index)) this.#dirtyLeaves--;
    this.#pages[0]!.delete(index);
    const parent = this.#own(1, Math.floor(index / FAN_OUT));
    parent[2 * (index % FAN_OUT)] = ZERO;
    parent[2 * (index % FAN_OUT) + 1] = 0;
  }

  /** More blocks, the base's (which are zero where it has none). */
  grow(blocks: number): void {
    this.#blocks = blocks;
    while (this.levels < levelCount(blocks)) {
      const top = this.levels - 1;
      if (this.#root.place !== BASE || this.#pages[top]!.has(0)) {
        const words = new Uint32Array(2 * FAN_OUT);
        words[0] = this.#root.place;
        words[1] = this.#root.crc;
        this.#pages.push(new Map([[0, { words, dirty: true, leaving: false, recent: true }]]));
      } else this.#pages.push(new Map());
      this.#root = { place: BASE, crc: 0 };
    }
  }

  /** Takes `grow` back: `blocks` as before it, and nothing was changed behind them. Throws as page() does. */
  shrink(blocks: number, space: Space): void {
    this.#blocks = blocks;
    while (this.levels > levelCount(blocks)) {
      const [place, crc] = this.page(this.levels - 1, 0);
      if (this.#root.place >= SUPERBLOCK_PLACES) space.retirePage(this.#root.place);
      this.#pages.pop();
      this.#root = { place: place!, crc: crc! };
    }
  }

  /**
   * Gives every page that was changed a new place, and its parent the news of it. What is to be written is a copy: the
   * map may be changed on. The pages' former places are retired.
   */
  capture(space: Space): { writes: PageWrite[]; pages: [number, number][] } {
    const writes: PageWrite[] = [];
    const captured: [number, number][] = [];
    this.#dirtyLeaves = 0;
    for (let level = 0; level < this.levels; level++) {
      const dirty = [...this.#pages[level]!].filter(([, page]) => page.dirty).sort(([a], [b]) => a - b);
      if (dirty.length === 0) continue;
      let done = 0;
      for (const extent of inParts(space.take(dirty.length))) {
        const bytes = new Uint8Array(extent.count * BLOCK_SIZE);
        for (let i = 0; i < extent.count; i++, done++) {
          const [index, page] = dirty[done]!;
          const part = bytes.subarray(i * BLOCK_SIZE, (i + 1) * BLOCK_SIZE);
          part.set(new Uint8Array(page.words.buffer));
          page.dirty = false;
          page.leaving = true;
          captured.push([level, index]);
          this.#moved(level, index, { place: extent.place + i, crc: crc32(part) }, space);
        }
        writes.push({ place: extent.place, bytes });
      }
    }
    return { writes, pages: captured };
  }

  #moved(level: number, index: number, to: Pointer, space: Space): void {
    let before = this.#root.place;
    if (level === this.levels - 1) this.#root = to;
    else {
      const parent = this.#own(level + 1, Math.floor(index / FAN_OUT));
      const at = 2 * (index % FAN_OUT);
      before = parent[at]!;
      parent[at] = to.place;
      parent[at + 1] = to.crc;
    }
    if (before >= SUPERBLOCK_PLACES) space.retirePage(before);
  }

  /** Captured pages are in the file, or could not be written: then the next capture has them again. */
  captured(pages: readonly [number, number][], written: boolean): void {
    for (const [level, index] of pages) {
      const page = this.#pages[level]!.get(index);
      if (page === undefined) continue;
      page.leaving = false;
      if (!written) this.#soil(level, page);
    }
    const leaves = this.#pages[0]!;
    for (const [index, page] of leaves) {
      if (leaves.size <= CLEAN_LEAVES) return;
      if (!page.dirty && !page.leaving) leaves.delete(index);
    }
  }
}
