/**
 * A node's own disk: a copy-on-write overlay over a base image that many nodes share. What the node wrote is in one file
 * (overlay-store.ts), what it did not is read from the base.
 *
 * Order of calls: calls that overlap in time and in range may take effect in any order (as on any disk), but bytes
 * outside the overlap are never lost: a synchronous call is one step of the event loop, and a call through the
 * thread pool holds its blocks until it is done.
 */
import { asDiskError } from './block-file.ts';
import { type BaseContent, BlockReader } from './block-reader.ts';
import { checksums } from './checksums.ts';
import { type Disk, DONE, type Extent, type FilePart, type Keep } from './disk.ts';
import { overlayExtents } from './extents.ts';
import { overlayFileParts } from './file-parts.ts';
import { BLOCK_SIZE, blockCount, FAN_OUT, ZERO } from './format.ts';
import type { OverlayStore, Places } from './overlay-store.ts';
import { type BlockRange, ShortWrites } from './short-writes.ts';

/** Long enough to go through the thread pool, so that filling a long range stops nobody else. */
const ZEROES = new Uint8Array(1024 * 1024);
/** Blocks made zero in one step of the event loop: 128 MiB of the disk. */
const CLEARED_AT_ONCE = 64 * FAN_OUT;

/** For memory that nobody is going to change. */
const NOT_KEPT: Keep = () => () => undefined;

/** For checksums of a write that is carried out in one step. */
const CRCS = new Uint32Array(64);

/** Blocks held by a call in the thread pool. */
interface Held {
  from: number;
  to: number;
  done: Promise<void>;
}

export class Overlay implements Disk {
  readonly name: string;
  readonly readOnly = false;
  readonly blockSize = BLOCK_SIZE;
  readonly store: OverlayStore;
  readonly base: BaseContent;
  readonly #reader: BlockReader;
  readonly #held: Held[] = [];
  readonly #short = new ShortWrites(
    (bytes, ranges) => this.#storeShort(bytes, ranges),
    (source, offset) => this.#change(offset, source.length, () => this.#store(source, offset, NOT_KEPT)),
  );

  /** `base` is shared, and not closed with the overlay. */
  constructor(name: string, store: OverlayStore, base: BaseContent) {
    this.name = name;
    this.store = store;
    this.base = base;
    this.#reader = new BlockReader(name, store.file, base, () => store.tree);
  }

  get size(): number {
    return this.store.superblock.size;
  }

  read(target: Uint8Array, offset: number): Promise<void> {
    this.#short.settle();
    return this.#reader.read(target, offset);
  }

  fileParts(offset: number, length: number, least: number): FilePart[] {
    this.#short.settle();
    return overlayFileParts(this.store.tree, this.base, { offset, length, least });
  }

  write(source: Uint8Array, offset: number, keep: Keep = NOT_KEPT): Promise<void> {
    const { length } = source;
    if (length === 0) return DONE;
    const short = this.#short.takes(length, offset) && this.store.file.prompt(length);
    if (short) this.#short.makeRoom(length);
    else this.#short.settle();
    const holder = this.#holder(offset, length);
    let later = holder?.done.then(() => this.write(source, offset));
    if (short) later ??= this.#intact(() => this.#short.add(source, offset));
    return later === undefined
      ? this.#intact(() => this.#store(source, offset, keep))
      : keptUntil(keep, later);
  }

  writeZeroes(offset: number, length: number, mayTrim: boolean): Promise<void> {
    if (length === 0) return DONE;
    if (mayTrim) return this.#change(offset, length, () => this.#clear(offset, length));
    return this.#fill(offset, length);
  }

  trim(offset: number, length: number): Promise<void> {
    return this.writeZeroes(offset, length, true);
  }

  extents(offset: number, length: number, most: number): Extent[] {
    this.#short.settle();
    return overlayExtents(this.store.tree, this.base, { offset, length, most });
  }

  flush(): Promise<void> {
    this.#short.settle();
    return this.store.flushes.flush();
  }

  /** Runs `work` after the short writes that wait: with a drive that has become slow they hold their blocks from then on. */
  #change(offset: number, length: number, work: () => Promise<void>): Promise<void> {
    this.#short.settle();
    const holder = this.#holder(offset, length);
    if (holder !== undefined) return holder.done.then(() => this.#change(offset, length, work));
    return this.#intact(work);
  }

  /** The call in the thread pool that holds a block of the range. */
  #holder(offset: number, length: number): Held | undefined {
    const from = Math.floor(offset / BLOCK_SIZE);
    const to = Math.ceil((offset + length) / BLOCK_SIZE);
    return this.#held.find((held) => held.from < to && from < held.to);
  }

  #intact(work: () => Promise<void>): Promise<void> {
    try {
      this.base.intact();
      return work();
    } catch (error) {
      return Promise.reject(asDiskError(error));
    }
  }

  /** Holds the blocks until `work` ends. */
  #hold(from: number, to: number, work: Promise<void>): Promise<void> {
    const result = work
      .finally(() => this.#held.splice(this.#held.indexOf(held), 1))
      .catch((error: unknown) => {
        throw asDiskError(error);
      });
    const held: Held = { from, to, done: result.catch(() => undefined) };
    this.#held.push(held);
    return result;
  }

  #store(source: Uint8Array, offset: number, keep: Keep): Promise<void> {
    const from = Math.floor(offset / BLOCK_SIZE);
    const to = Math.ceil((offset + source.length) / BLOCK_SIZE);
    if (!this.store.file.prompt((to - from) * BLOCK_SIZE))
      return keptUntil(keep, this.#hold(from, to, this.#storeLater(source, offset, from, to)));
    const { bytes, edges } = whole(source, offset, from, to);
    for (const { block, at } of edges) {
      const part = bytes.subarray(at, at + BLOCK_SIZE);
      this.#reader.readNow(this.#inside(part, block), block * BLOCK_SIZE);
    }
    if (bytes !== source) bytes.set(source, offset - from * BLOCK_SIZE);
    this.#load(from, to);
    // Before they are written: they are in the nearest cache then.
    const crcs = checksums(bytes, room(to - from));
    let places: Places;
    try {
      places = this.#placed(bytes, false);
    } catch (error) {
      // The file cannot be made longer: there may be places in it.
      if (asDiskError(error).code !== 'ENOSPC' || !this.store.hasFree(to - from)) throw error;
      places = this.#placed(bytes, true);
    }
    return this.store.enter([{ block: from, count: to - from }], places, crcs);
  }

  /** Writes blocks to places of their own; see `take`. Throws DiskError: nothing has changed then. */
  #placed(bytes: Uint8Array, scattered: boolean): Places {
    const places = this.store.take(bytes.length / BLOCK_SIZE, scattered);
    try {
      for (const { part, place } of parts(bytes, places)) this.store.file.writeNow(part, place * BLOCK_SIZE);
    } catch (error) {
      this.store.giveBack(places);
      throw error;
    }
    return places;
  }

  /** Throws, or gives undefined, where nothing has changed. */
  #storeShort(bytes: Uint8Array, ranges: BlockRange[]): Promise<void> | undefined {
    if (!this.store.file.prompt(bytes.length)) return undefined;
    for (const { block, count } of ranges) this.#load(block, block + count);
    const places = this.#placed(bytes, false);
    return this.store.enter(ranges, places, checksums(bytes, room(bytes.length / BLOCK_SIZE)));
  }

  async #storeLater(source: Uint8Array, offset: number, from: number, to: number): Promise<void> {
    const { bytes, edges } = whole(source, offset, from, to);
    for (const { block, at } of edges)
      await this.#reader.read(this.#inside(bytes.subarray(at, at + BLOCK_SIZE), block), block * BLOCK_SIZE);
    if (bytes !== source) bytes.set(source, offset - from * BLOCK_SIZE);
    const writeAll = async (scattered: boolean): Promise<Places> => {
      const places = this.store.take(to - from, scattered);
      const writes = parts(bytes, places).map(({ part, place }) =>
        this.store.file.write(part, place * BLOCK_SIZE),
      );
      // None may still be under way when the places are given back.
      const failed = (await Promise.allSettled(writes)).find((write) => write.status === 'rejected');
      if (failed === undefined) return places;
      this.store.giveBack(places);
      throw failed.reason;
    };
    const places = await writeAll(false).catch((error: unknown) => {
      if (asDiskError(error).code !== 'ENOSPC' || !this.store.hasFree(to - from)) throw error;
      return writeAll(true);
    });
    try {
      await this.store.tree.load(from, to);
      this.#load(from, to);
      this.store.flushes.writable();
    } catch (error) {
      this.store.giveBack(places);
      throw error;
    }
    return this.store.enter([{ block: from, count: to - from }], places, checksums(bytes));
  }

  /** Without what lies behind the disk's end. */
  #inside(part: Uint8Array, block: number): Uint8Array {
    return part.subarray(0, Math.min(BLOCK_SIZE, this.size - block * BLOCK_SIZE));
  }

  /** Has the map's leaves of the blocks in memory. Throws where one cannot be read. */
  #load(from: number, to: number): void {
    for (let leaf = Math.floor(from / FAN_OUT); leaf * FAN_OUT < to; leaf++) this.store.tree.leaf(leaf);
  }

  /** Makes the range zero: whole blocks in the map, the parts at its ends by writing zeroes. */
  #clear(offset: number, length: number): Promise<void> {
    const end = offset + length;
    const from = Math.ceil(offset / BLOCK_SIZE);
    const to = end === this.size ? blockCount(this.size) : Math.floor(end / BLOCK_SIZE);
    if (from > to) return this.#clearPart(offset, length);
    const works: Promise<void>[] = [];
    if (offset < from * BLOCK_SIZE)
      works.push(this.#clearPart(offset, Math.min(end, from * BLOCK_SIZE) - offset));
    if (end > to * BLOCK_SIZE) works.push(this.#clearPart(to * BLOCK_SIZE, end - to * BLOCK_SIZE));
    if (to - from > CLEARED_AT_ONCE) works.push(this.#hold(from, to, this.#clearLong(from, to)));
    else works.push(this.store.clear(from, to));
    return works.length === 1 ? works[0]! : all(works);
  }

  async #clearLong(from: number, to: number): Promise<void> {
    for (let at = from; at < to; at += CLEARED_AT_ONCE) {
      await this.store.clear(at, Math.min(to, at + CLEARED_AT_ONCE));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Zeroes part of one block. */
  #clearPart(offset: number, length: number): Promise<void> {
    const block = Math.floor(offset / BLOCK_SIZE);
    const words = this.store.tree.leaf(Math.floor(block / FAN_OUT));
    if (words[2 * (block % FAN_OUT)] === ZERO) return DONE;
    return this.#store(ZEROES.subarray(0, length), offset, NOT_KEPT);
  }

  /** Zeroes that take up space (WRITE_ZEROES with NO_HOLE). */
  async #fill(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += ZEROES.length)
      await this.write(ZEROES.subarray(0, Math.min(ZEROES.length, length - done)), offset + done);
  }

  /** Flushes and closes the overlay's file, the latter also where the flush fails. */
  async close(): Promise<void> {
    this.#short.settle();
    await Promise.all(this.#held.map((held) => held.done));
    await this.store.close();
  }
}

/** Gives `work`, until which memory is kept. */
function keptUntil(keep: Keep, work: Promise<void>): Promise<void> {
  const release = keep();
  work.then(release, release);
  return work;
}

/** Waits for all of them to end, then rejects where one did. */
async function all(works: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((work) => work.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** For `count` checksums that are needed in the present step only. */
function room(count: number): Uint32Array {
  if (count === CRCS.length) return CRCS;
  return count < CRCS.length ? CRCS.subarray(0, count) : new Uint32Array(count);
}

/** `source` where it is of whole blocks, else a buffer that is; `edges` are its blocks that are covered in part. */
function whole(
  source: Uint8Array,
  offset: number,
  from: number,
  to: number,
): { bytes: Uint8Array; edges: { block: number; at: number }[] } {
  const length = (to - from) * BLOCK_SIZE;
  if (source.length === length) return { bytes: source, edges: [] };
  const end = offset + source.length;
  const edges = [];
  if (offset > from * BLOCK_SIZE) edges.push({ block: from, at: 0 });
  if (end < to * BLOCK_SIZE && (to - 1 > from || edges.length === 0))
    edges.push({ block: to - 1, at: length - BLOCK_SIZE });
  return { bytes: new Uint8Array(length), edges };
}

/** What goes where. */
function parts(bytes: Uint8Array, { extents }: Places): { part: Uint8Array; place: number }[] {
  if (extents.length === 1) return [{ part: bytes, place: extents[0]!.place }];
  let done = 0;
  return extents.map(({ place, count }) => {
    const part = bytes.subarray(done, done + count * BLOCK_SIZE);
    done += part.length;
    return { part, place };
  });
}
