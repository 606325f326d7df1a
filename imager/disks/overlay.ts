/**
 * A node's own disk: a copy-on-write overlay over a base image that many nodes share.
 *
 * `data` is a sparse file of the disk's size that holds the blocks the node wrote, each at its own offset. `map`
 * (map-format.ts) tells for each 4 KiB block whether it is the base's, in `data`, or all zeroes.
 *
 * What survives a crash: a block enters the map as "data" only after all of it is in `data`; a flush makes `data`
 * durable BEFORE it writes the pages of the map that name new blocks, and makes those durable before it resolves.
 * So a map page never names a block whose content is not durable, whatever the moment of the crash: what was flushed
 * reads back, a block written since reads as before or after the write, and never as anything else. Where only this
 * process ends, everything that was acknowledged reads back: changes of the map are in the kernel's hands by then
 * (recent.ts), as `data` is.
 *
 * Order of calls: calls that overlap in time and in range may take effect in any order (as on any disk), but bytes
 * outside the overlap are never lost: a synchronous call is one step of the event loop, and a call through the
 * thread pool holds its blocks until it is done.
 */
import { asDiskError, type BlockFile } from './block-file.ts';
import { BASE, type BlockCounts, BlockMap, type BlockState, DATA, ZERO } from './block-map.ts';
import { type Disk, DiskError, type Extent } from './disk.ts';
import { overlayExtents } from './extents.ts';
import { BLOCK_SIZE, choosePage, SLOT_SIZE, slotOffset } from './map-format.ts';
import type { RecentChanges } from './recent.ts';
import type { ZeroMap } from './zero-map.ts';

const DONE = Promise.resolve();
/** Long enough to go through the thread pool, so that filling a long range stops nobody else. */
const ZEROES = new Uint8Array(1024 * 1024);

interface OverlayFiles {
  /** Shared; not closed with the overlay. */
  base: BlockFile;
  zeros: ZeroMap;
  data: BlockFile;
  map: BlockFile;
  recent: RecentChanges;
}

/** Blocks held by a write in the thread pool. */
interface Held {
  from: number;
  to: number;
  done: Promise<void>;
}

export class Overlay implements Disk {
  readonly name: string;
  readonly size: number;
  readonly readOnly = false;
  readonly blockSize = BLOCK_SIZE;
  readonly #files: OverlayFiles;
  readonly #map: BlockMap;
  readonly #held: Held[] = [];
  /** Something was written to `data` since the last flush began; an earlier process may have done so too. */
  #unsynced = true;
  #flushing: Promise<void> | undefined;
  #nextFlush: Promise<void> | undefined;
  #failure: DiskError | undefined;

  private constructor(name: string, size: number, files: OverlayFiles, map: BlockMap) {
    this.name = name;
    this.size = size;
    this.#files = files;
    this.#map = map;
  }

  /**
   * Reads the map and takes the files over. Throws MapError where the map is damaged. `onTorn` is told each page
   * of which one copy is not valid: a flush was interrupted there, the page before it is used.
   */
  static open(name: string, size: number, files: OverlayFiles, onTorn: (page: number) => void): Overlay {
    const map = loadMap(files.map, size, onTorn);
    for (const { from, to, state } of files.recent.found) map.set(from, Math.min(to, map.blocks), state);
    return new Overlay(name, size, files, map);
  }

  blocks(): BlockCounts {
    return this.#map.counts();
  }

  read(target: Uint8Array, offset: number): Promise<void> {
    const { base, data } = this.#files;
    if (!base.prompt(target.length) || !data.prompt(target.length)) return this.#readLater(target, offset);
    try {
      this.#readNow(target, offset);
      return DONE;
    } catch (error) {
      return Promise.reject(asDiskError(error));
    }
  }

  #readNow(target: Uint8Array, offset: number): void {
    for (const { state, part, at } of this.#runs(target, offset)) {
      if (state === ZERO) part.fill(0);
      else (state === BASE ? this.#files.base : this.#files.data).readNow(part, at);
    }
  }

  async #readLater(target: Uint8Array, offset: number): Promise<void> {
    const reads = this.#runs(target, offset).map(({ state, part, at }) => {
      if (state !== ZERO) return (state === BASE ? this.#files.base : this.#files.data).read(part, at);
      part.fill(0);
      return DONE;
    });
    // None may still write to the target when the caller has it back.
    const failed = (await Promise.allSettled(reads)).find((read) => read.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** The range cut where the state of its blocks changes. */
  #runs(target: Uint8Array, offset: number): { state: number; part: Uint8Array; at: number }[] {
    const end = offset + target.length;
    const limit = Math.ceil(end / BLOCK_SIZE);
    const runs = [];
    for (let at = offset; at < end; ) {
      const block = Math.floor(at / BLOCK_SIZE);
      const stop = Math.min(end, this.#map.runEnd(block, limit) * BLOCK_SIZE);
      const whole = at === offset && stop === end;
      const part = whole ? target : target.subarray(at - offset, stop - offset);
      runs.push({ state: this.#map.state(block), part, at });
      at = stop;
    }
    return runs;
  }

  write(source: Uint8Array, offset: number): Promise<void> {
    if (source.length === 0) return DONE;
    return this.#change(offset, source.length, () => this.#store(source, offset));
  }

  writeZeroes(offset: number, length: number, mayTrim: boolean): Promise<void> {
    if (length === 0) return DONE;
    if (mayTrim) return this.#change(offset, length, () => this.#clear(offset, length));
    return this.#fill(offset, length);
  }

  trim(offset: number, length: number): Promise<void> {
    return this.writeZeroes(offset, length, true);
  }

  /** Runs `work` once no write in the thread pool holds a block of the range. */
  #change(offset: number, length: number, work: () => Promise<void> | undefined): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const from = Math.floor(offset / BLOCK_SIZE);
    const to = Math.ceil((offset + length) / BLOCK_SIZE);
    const holder = this.#held.find((held) => held.from < to && from < held.to);
    if (holder !== undefined) return holder.done.then(() => this.#change(offset, length, work));
    try {
      return work() ?? DONE;
    } catch (error) {
      return Promise.reject(asDiskError(error));
    }
  }

  /**
   * Stores `source`: the blocks it covers in part and that are not in `data` yet are completed from where they are;
   * the rest goes to `data` as it is.
   */
  #store(source: Uint8Array, offset: number): Promise<void> | undefined {
    const { data } = this.#files;
    const end = offset + source.length;
    const from = Math.floor(offset / BLOCK_SIZE);
    const to = Math.ceil(end / BLOCK_SIZE);
    this.#unsynced = true;
    let start = offset;
    let stop = end;
    if (offset > from * BLOCK_SIZE && this.#map.state(from) !== DATA) {
      start = Math.min(end, (from + 1) * BLOCK_SIZE);
      this.#complete(from, source.subarray(0, start - offset), offset);
    }
    if (start < stop && stop < Math.min(this.size, to * BLOCK_SIZE) && this.#map.state(to - 1) !== DATA) {
      stop = Math.max(start, (to - 1) * BLOCK_SIZE);
      this.#complete(to - 1, source.subarray(stop - offset), stop);
    }
    const body = start === offset && stop === end ? source : source.subarray(start - offset, stop - offset);
    if (data.prompt(body.length)) {
      if (body.length > 0) data.writeNow(body, start);
      this.#mark(from, to, DATA);
      return undefined;
    }
    return this.#hold(from, to, data.write(body, start));
  }

  /** Gives blocks their new state, so that it outlives this process. Their content is in `data` by then. */
  #mark(from: number, to: number, state: BlockState): void {
    if (!this.#map.set(from, to, state)) return;
    this.#files.recent.note({ from, to, state });
    // A node that never flushes must not make the list grow without bound; where it fails, later writes tell.
    if (this.#files.recent.many && this.#flushing === undefined) void this.flush().catch(() => undefined);
  }

  /** Holds the blocks until `writing` ends, then they are data. */
  #hold(from: number, to: number, writing: Promise<void>): Promise<void> {
    const finish = (): void => {
      this.#held.splice(this.#held.indexOf(held), 1);
      // The flush that ran meanwhile did not cover these bytes.
      this.#unsynced = true;
    };
    const result = writing.then(
      () => {
        finish();
        this.#mark(from, to, DATA);
      },
      (error: unknown) => {
        finish();
        throw error;
      },
    );
    const held: Held = { from, to, done: result.catch(() => undefined) };
    this.#held.push(held);
    return result;
  }

  /** Writes all of a block: what it reads as now, with `part` at the disk's offset `at` over it. */
  #complete(block: number, part: Uint8Array, at: number): void {
    const start = block * BLOCK_SIZE;
    const whole = new Uint8Array(Math.min(BLOCK_SIZE, this.size - start));
    this.#readNow(whole, start);
    whole.set(part, at - start);
    this.#files.data.writeNow(whole, start);
  }

  /** Makes the range zero: whole blocks in the map, the parts at its ends by writing zeroes. */
  #clear(offset: number, length: number): undefined {
    const end = offset + length;
    const from = Math.ceil(offset / BLOCK_SIZE);
    const to = end === this.size ? this.#map.blocks : Math.floor(end / BLOCK_SIZE);
    if (from > to) return this.#clearPart(offset, length);
    if (offset < from * BLOCK_SIZE) this.#clearPart(offset, Math.min(end, from * BLOCK_SIZE) - offset);
    this.#mark(from, to, ZERO);
    if (end > to * BLOCK_SIZE) this.#clearPart(to * BLOCK_SIZE, end - to * BLOCK_SIZE);
    return undefined;
  }

  /** Zeroes part of one block. */
  #clearPart(offset: number, length: number): undefined {
    const block = Math.floor(offset / BLOCK_SIZE);
    if (this.#map.state(block) === ZERO) return;
    this.#unsynced = true;
    this.#complete(block, ZEROES.subarray(0, length), offset);
    this.#mark(block, block + 1, DATA);
  }

  /** Zeroes that take up space (WRITE_ZEROES with NO_HOLE): later writes there cannot fail for lack of it. */
  async #fill(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += ZEROES.length)
      await this.write(ZEROES.subarray(0, Math.min(ZEROES.length, length - done)), offset + done);
  }

  extents(offset: number, length: number, most: number): Extent[] {
    return overlayExtents(this.#map, this.#files.zeros, { offset, length, most });
  }

  /** Flushes wanted while one runs share the next one: it begins after all of their writes. */
  flush(): Promise<void> {
    if (this.#nextFlush !== undefined) return this.#nextFlush;
    if (this.#flushing === undefined) return this.#startFlush();
    this.#nextFlush = this.#flushing.then(
      () => this.#startFlush(),
      () => this.#startFlush(),
    );
    return this.#nextFlush;
  }

  #startFlush(): Promise<void> {
    this.#nextFlush = undefined;
    const flushing = this.#flushNow().finally(() => {
      this.#flushing = undefined;
    });
    this.#flushing = flushing;
    return flushing;
  }

  async #flushNow(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const pages = this.#map.capture();
    this.#files.recent.turn();
    const unsynced = this.#unsynced;
    this.#unsynced = false;
    try {
      if (unsynced) await this.#files.data.sync();
      if (pages.length === 0) return;
      for (const { record, offset } of pages) await this.#files.map.write(record, offset);
      await this.#files.map.sync();
      this.#map.committed(pages);
    } catch (error) {
      // The kernel forgets what it could not write back: a second fdatasync would claim success. So this is final.
      this.#files.recent.forget();
      const cause = asDiskError(error);
      const words = `${this.name}: a flush failed, no more writes: ${cause.message}`;
      this.#failure = new DiskError(cause.code, words, { cause });
      throw this.#failure;
    }
  }

  /** Flushes and closes the overlay's own files, the latter also where the flush fails. */
  async close(): Promise<void> {
    try {
      await Promise.all(this.#held.map((held) => held.done));
      await this.flush();
    } finally {
      this.#files.data.close();
      this.#files.map.close();
      this.#files.recent.close();
    }
  }
}

/** The map of a disk of `size` bytes as its file tells it. Throws MapError where a page has no valid copy. */
export function loadMap(file: BlockFile, size: number, onTorn: (page: number) => void): BlockMap {
  const map = new BlockMap(size);
  const pair = new Uint8Array(2 * SLOT_SIZE);
  for (let page = 0; page < map.pages; page++) {
    file.readNow(pair, slotOffset(page, 0));
    const copy = choosePage(page, pair.subarray(0, SLOT_SIZE), pair.subarray(SLOT_SIZE));
    if (copy.torn) onTorn(page);
    map.load(page, copy);
  }
  return map;
}
