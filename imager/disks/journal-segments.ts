/** Segments that the journal has not begun yet. */
import { asDiskError, type BlockFile } from './block-file.ts';
import { BLOCK_SIZE } from './format.ts';
import { LINK_SIZE, MAX_RECORD } from './journal-record.ts';
import type { Space } from './space.ts';
import type { Segment } from './superblock.ts';

/** 128 KiB: 2700 records of a lone block each. */
export const SEGMENT_PLACES = 32;
const SEGMENT_BYTES = SEGMENT_PLACES * BLOCK_SIZE;
/** What is left of a segment where every record that does not fit any more was the longest. */
export const SURE_BYTES = SEGMENT_BYTES - MAX_RECORD - LINK_SIZE;
const ZEROES = new Uint8Array(SEGMENT_BYTES);

export class SpareSegments {
  readonly #file: BlockFile;
  readonly #space: Space;
  readonly #salt: () => string;
  readonly #spares: Segment[] = [];

  /** `salt` gives 8 random bytes as hexadecimal. */
  constructor(file: BlockFile, space: Space, salt: () => string) {
    this.#file = file;
    this.#space = space;
    this.#salt = salt;
  }

  get count(): number {
    return this.#spares.length;
  }

  all(): readonly Segment[] {
    return this.#spares;
  }

  /** One more, written out in full: what goes there later finds its space. Throws DiskError. */
  add(): void {
    const extent = this.#space.takeRun(SEGMENT_PLACES);
    try {
      this.#file.writeNow(ZEROES, extent.place * BLOCK_SIZE);
    } catch (error) {
      this.#space.giveBack([extent]);
      throw asDiskError(error);
    }
    this.#spares.push({ ...extent, salt: this.#salt() });
  }

  /** The next of them; there is one. */
  take(): Segment {
    return this.#spares.shift()!;
  }
}
