/**
 * One attachment of a node's disk, from its first connection to the end of its last: what is read of the base, and
 * whether anything was written.
 */
import type { Disk } from '../disks/disk.ts';
import { type BaseImage, BLOCK_SIZE, MAX_TRACED_BLOCKS, type Run, RunList } from './trace.ts';
import type { Watcher } from './traced-disk.ts';

export interface AttachedTo {
  /** The base's name. */
  base: string;
  image: BaseImage;
  /** Address of the client. */
  address: string;
}

export class Attachment implements Watcher {
  readonly base: string;
  readonly image: BaseImage;
  readonly address: string;
  /** The disk as each connection has it. */
  readonly disks = new Set<Disk>();
  /** An agent said that it runs from this disk. */
  booted = false;
  listening = true;
  /** What it read was kept, or is not worth it. */
  finished = false;
  /** Ends the trace of a boot that takes too long. */
  limit: NodeJS.Timeout | undefined;
  /** Nothing was written since it was attached: its content is what it was then. */
  untouched = true;
  readonly #seen = new Set<number>();
  readonly #runs = new RunList();

  constructor({ base, image, address }: AttachedTo) {
    this.base = base;
    this.image = image;
    this.address = address;
  }

  /** The disk, to look into; undefined once nobody has it. */
  get disk(): Disk | undefined {
    const [disk] = this.disks;
    return disk;
  }

  /** The base's blocks that were read so far, in order. */
  get runs(): readonly Run[] {
    return this.#runs.runs;
  }

  /** Notes the blocks of the range that are the base's; the node's own are nobody else's business. */
  reads(offset: number, length: number): void {
    const { disk } = this;
    if (disk === undefined) return;
    const first = Math.floor(offset / BLOCK_SIZE) * BLOCK_SIZE;
    // A disk that has grown has more than its base.
    const end = Math.min(this.image.size, Math.ceil((offset + length) / BLOCK_SIZE) * BLOCK_SIZE);
    for (const { at, length: run, dirty } of extentsOf(disk, first, end))
      if (!dirty) this.#note(at / BLOCK_SIZE, Math.ceil((at + run) / BLOCK_SIZE));
  }

  #note(from: number, to: number): void {
    for (let block = from; block < to; block++) {
      if (this.#seen.has(block)) continue;
      if (this.#seen.size >= MAX_TRACED_BLOCKS) {
        this.listening = false;
        return;
      }
      this.#seen.add(block);
      this.#runs.add(block);
    }
  }

  changes(): void {
    this.untouched = false;
  }
}

const MOST_EXTENTS = 1024;

/** The extents of a range of a disk, each with its place. Bytes. */
export function* extentsOf(
  disk: Pick<Disk, 'extents'>,
  from: number,
  to: number,
): Generator<{ at: number; length: number; dirty: boolean }> {
  for (let at = from; at < to; )
    for (const { length, dirty } of disk.extents(at, to - at, MOST_EXTENTS)) {
      yield { at, length, dirty };
      at += length;
    }
}
