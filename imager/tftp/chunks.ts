/**
 * Files in chunks as transfers read them. Transfers of one file share them, which nodes that boot together are: it is read
 * once for all of them, and what was sent to one is still in the processor's cache for the next.
 */
import type { ByteSource } from './source.ts';

export interface Chunk {
  readonly bytes: Uint8Array;
  /** How many of them are the file's: all, except at its end. */
  readonly filled: number;
}

/** One transfer's way through a file. */
export interface ChunkReader {
  /**
   * The chunk of this number, from 0 on in turn. It stays as it is until released. Rejects with what the source rejects
   * with.
   */
  read(index: number): Promise<Chunk>;
  /** Chunks below `index` are not needed again. */
  release(index: number): void;
  /** No chunk is. */
  close(): void;
}

/** Bytes that are kept for transfers that have yet to come to them, at most. */
const MOST_KEPT = 16 * 1_048_576;

export class Chunks {
  readonly #files = new Map<string, SharedFile>();
  readonly #kept: Kept = { bytes: 0 };

  /**
   * Opens a file for one transfer, in chunks of `length` bytes. Those that give the same `name` and length share it;
   * undefined: it is this transfer's alone, as one has to be that cannot be read from anywhere.
   */
  open(name: string | undefined, length: number, source: ByteSource): ChunkReader {
    if (name === undefined) return new SharedFile(length, this.#kept, () => {}).reader(source);
    const key = `${length} ${name}`;
    let file = this.#files.get(key);
    if (file === undefined) {
      file = new SharedFile(length, this.#kept, () => this.#files.delete(key));
      this.#files.set(key, file);
    }
    return file.reader(source);
  }
}

/** What nobody holds now and somebody will ask for, of all files. */
interface Kept {
  bytes: number;
}

interface Entry {
  readonly bytes: Uint8Array;
  readonly chunk: Promise<Chunk>;
  /** Transfers that have asked for it and not released it. */
  holders: number;
  /** Whether it is counted in Kept. */
  kept: boolean;
}

/** Where a transfer is. */
interface Place {
  /** The chunk it asks for next. */
  next: number;
  readonly held: Map<number, Entry>;
}

class SharedFile {
  readonly #length: number;
  readonly #kept: Kept;
  readonly #onUnused: () => void;
  readonly #entries = new Map<number, Entry>();
  readonly #places = new Set<Place>();
  /** Memory of a chunk that is gone, for the next one. */
  #spare: Uint8Array | undefined;

  constructor(length: number, kept: Kept, onUnused: () => void) {
    this.#length = length;
    this.#kept = kept;
    this.#onUnused = onUnused;
  }

  reader(source: ByteSource): ChunkReader {
    const place: Place = { next: 0, held: new Map() };
    this.#places.add(place);
    return {
      read: (index) => this.#read(place, index, source),
      release: (index) => this.#release(place, index),
      close: () => {
        if (!this.#places.delete(place)) return;
        this.#release(place, Number.POSITIVE_INFINITY);
        if (this.#places.size === 0) this.#onUnused();
      },
    };
  }

  #read(place: Place, index: number, source: ByteSource): Promise<Chunk> {
    const entry = this.#entries.get(index) ?? this.#begin(index, source);
    place.next = index + 1;
    place.held.set(index, entry);
    entry.holders++;
    this.#count(entry, false);
    return entry.chunk;
  }

  #begin(index: number, source: ByteSource): Entry {
    const bytes = this.#spare ?? new Uint8Array(this.#length);
    this.#spare = undefined;
    const chunk = source.fill(bytes, index * this.#length).then(
      (filled) => ({ bytes, filled }),
      (error) => {
        // The next one tries for itself.
        this.#entries.delete(index);
        throw error;
      },
    );
    const entry: Entry = { bytes, chunk, holders: 0, kept: false };
    this.#entries.set(index, entry);
    return entry;
  }

  #release(place: Place, end: number): void {
    for (const [index, entry] of place.held) {
      if (index >= end) continue;
      place.held.delete(index);
      entry.holders--;
    }
    this.#sweep();
  }

  /** Keeps of what nobody holds what somebody has yet to come to, as far as there is room. */
  #sweep(): void {
    let last = Number.POSITIVE_INFINITY;
    for (const { next } of this.#places) last = Math.min(last, next);
    for (const [index, entry] of this.#entries) {
      if (entry.holders > 0) continue;
      this.#count(entry, last <= index && (entry.kept || this.#kept.bytes + this.#length <= MOST_KEPT));
      if (entry.kept) continue;
      this.#entries.delete(index);
      this.#spare = entry.bytes;
    }
  }

  #count(entry: Entry, kept: boolean): void {
    if (entry.kept !== kept) this.#kept.bytes += kept ? this.#length : -this.#length;
    entry.kept = kept;
  }
}
