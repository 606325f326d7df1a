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
  /** Attached by a client that proved who it is, over TLS. */
  secret = false;
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
    // A disk that has grown has more than its base.
    const blocks = Math.ceil(Math.min(offset + length, this.image.size) / BLOCK_SIZE);
    let runs: OwnRun[];
    try {
      runs = ownRuns(disk, Math.floor(offset / BLOCK_SIZE), blocks);
    } catch {
      // Its map cannot be read: the read itself is going to tell.
      return;
    }
    for (const { block, count, dirty } of runs) if (!dirty) this.#note(block, block + count);
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

/** A run of blocks, and whether anything of them is the disk's own. */
export interface OwnRun extends Run {
  dirty: boolean;
}

/**
 * The blocks `from` to before `to` of a disk, as runs. An extent may end within a block, where the base of a disk that
 * has grown does.
 */
export function ownRuns(disk: Pick<Disk, 'extents' | 'size'>, from: number, to: number): OwnRun[] {
  const dirty = new Uint8Array(Math.max(0, to - from));
  const end = Math.min(disk.size, to * BLOCK_SIZE);
  for (let at = from * BLOCK_SIZE; at < end; )
    for (const extent of disk.extents(at, end - at, MOST_EXTENTS)) {
      const stop = at + extent.length;
      if (extent.dirty)
        dirty.fill(1, Math.floor(at / BLOCK_SIZE) - from, Math.ceil(stop / BLOCK_SIZE) - from);
      at = stop;
    }
  const runs: OwnRun[] = [];
  for (let block = from; block < to; block++) {
    const last = runs.at(-1);
    const own = dirty[block - from] === 1;
    if (last?.dirty === own) last.count++;
    else runs.push({ block, count: 1, dirty: own });
  }
  return runs;
}
