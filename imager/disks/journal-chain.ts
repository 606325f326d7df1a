/** Where the journal's records go: the segment that is being filled, those before and after it, and the next record's number. */
import type { BlockFile } from './block-file.ts';
import { BLOCK_SIZE, type PlaceRun } from './format.ts';
import {
  encodeLink,
  type JournalPosition,
  LINK_SIZE,
  type RecordHead,
  sealRecord,
} from './journal-record.ts';
import { SpareSegments, SURE_BYTES } from './journal-segments.ts';
import type { Space } from './space.ts';
import type { Segment } from './superblock.ts';

/** Bytes for the file. */
export interface JournalWrite {
  bytes: Uint8Array;
  offset: number;
}

export class JournalChain {
  #segment: Segment;
  #offset: number;
  #lsn: number;
  /** Segments before the present one, from the checkpoint on. */
  #before: PlaceRun[];
  readonly #spares: SpareSegments;

  /** Goes on at a position, `before` which come those segments. `salt` gives 8 random bytes as hexadecimal. */
  constructor(
    file: BlockFile,
    space: Space,
    { journal, before }: { journal: JournalPosition; before: PlaceRun[] },
    salt: () => string,
  ) {
    this.#segment = journal.segment;
    this.#offset = journal.offset;
    this.#lsn = journal.lsn;
    this.#before = before;
    this.#spares = new SpareSegments(file, space, salt);
  }

  /** Number of the next record. */
  get lsn(): number {
    return this.#lsn;
  }

  /** Byte of the file behind the last record. */
  get end(): number {
    return this.#segment.place * BLOCK_SIZE + this.#offset;
  }

  /** Bytes since the checkpoint. */
  get length(): number {
    return this.#before.reduce((sum, { count }) => sum + count * BLOCK_SIZE, this.#offset);
  }

  /** The present segment, as one that begins with the next record; those before it. */
  get start(): Segment & { lsn: number } {
    return { ...this.#segment, lsn: this.#lsn };
  }

  get before(): PlaceRun[] {
    return [...this.#before];
  }

  /** All that it takes up. */
  segments(): PlaceRun[] {
    return [...this.#before, this.#segment, ...this.#spares.all()];
  }

  /** Sees to it that there is room for records of `bytes` in all. Throws DiskError. */
  reserve(bytes: number): void {
    const room = (): number => Math.max(0, SURE_BYTES - this.#offset) + this.#spares.count * SURE_BYTES;
    while (room() < bytes) this.#spares.add();
  }

  /** As `reserve`, without what is left of the present segment: there is one after it then. */
  reserveNext(bytes: number): void {
    while (this.#spares.count === 0 || this.#spares.count * SURE_BYTES < bytes) this.#spares.add();
  }

  /** Completes a record, for which there is room, and gives what is to be written, in order. `synced`: see RecordHead. */
  put(record: Buffer, synced: number): JournalWrite[] {
    const writes: JournalWrite[] = [];
    if (this.#offset + record.length + LINK_SIZE > this.#segment.count * BLOCK_SIZE)
      writes.push(this.link(synced));
    sealRecord(record, this.#head(synced));
    writes.push({ bytes: record, offset: this.end });
    this.#offset += record.length;
    return writes;
  }

  /** Goes on in the next segment, which there is: the record that says so. */
  link(synced: number): JournalWrite {
    const next = this.#spares.take();
    const link = { bytes: encodeLink(this.#head(synced), next), offset: this.end };
    this.#before.push({ place: this.#segment.place, count: this.#segment.count });
    this.#segment = next;
    this.#offset = 0;
    return link;
  }

  #head(synced: number): RecordHead {
    return { salt: this.#segment.salt, lsn: this.#lsn++, synced };
  }

  /** Segments before a checkpoint's start are not the journal's any more. */
  forget(before: readonly PlaceRun[]): void {
    this.#before = this.#before.slice(before.length);
  }
}
