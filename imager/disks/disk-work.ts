/** What people do with disks beside using them: generations, new bases, growth. For the control API and the command line. */
import type { BaseView } from './base-record.ts';
import { BlockReader } from './block-reader.ts';
import type { Disks, DiskView } from './catalog.ts';
import type { Changed } from './changed-ranges.ts';
import { differences } from './differences.ts';
import { BASE, blockCount } from './format.ts';
import type { Generation } from './generation-table.ts';
import { drop, generationOf, grow, mapOf, rollBack, snapshot, takeBack } from './generations.ts';
import { MapTree } from './map-tree.ts';
import type { Overlay } from './overlay.ts';
import type { OverlayStore } from './overlay-store.ts';
import { StoreError } from './store-error.ts';
import { inTurns } from './turns.ts';

/** A generation as people see it. */
export interface GenerationView {
  id: number;
  /** The generation it was made from; 0: none. */
  parent: number;
  /** ISO 8601. */
  time: string;
  label: string;
  /** Bytes. */
  size: number;
  /** Blocks that it does not have from the base. */
  blocksWritten: number;
  blocksZeroed: number;
}

export interface Generations {
  disk: string;
  /** The generation that the disk as it is was made from; 0: none. */
  parent: number;
  generations: GenerationView[];
}

export interface Differences extends Changed {
  /** A generation, or a name: `base`, `now`. */
  from: Moment;
  to: Moment;
}

/** A generation by its number; the base; or the disk as it is. */
export type Moment = number | 'base' | 'now';

/** Each rejects with StoreError where the wish is wrong, and DiskError. */
export class DiskWork {
  readonly #disks: Disks;
  readonly #now: () => number;
  /** Generations that are being read: they cannot be dropped. */
  readonly #reading: { disk: string; id: number }[] = [];

  /** `now` in milliseconds since 1970. */
  constructor(disks: Disks, now: () => number) {
    this.#disks = disks;
    this.#now = now;
  }

  generations(disk: string): Promise<Generations> {
    return this.#disks.withOverlay(disk, async ({ store }) => ({
      disk,
      parent: store.superblock.parent,
      generations: store.generations.map(viewOf),
    }));
  }

  /** Keeps the disk as it is, all that was acknowledged; its client may go on. */
  snapshot(disk: string, label: string): Promise<GenerationView> {
    return this.#disks.withOverlay(disk, async ({ store }) =>
      viewOf(await snapshot(store, label, this.#now())),
    );
  }

  /** Makes a disk that nobody uses what it was. Gives the generation that has what it was until now. */
  rollBack(disk: string, id: number): Promise<GenerationView> {
    return this.#disks.exclusively(disk, 'being rolled back', async ({ store }) =>
      viewOf(await rollBack(store, id, this.#now())),
    );
  }

  drop(disk: string, id: number): Promise<GenerationView> {
    return this.#disks.withOverlay(disk, async ({ store }) => {
      if (this.#reading.some((read) => read.disk === disk && read.id === id))
        throw new StoreError(`generation ${id} of disk "${disk}" is being made a base image`);
      return viewOf(await drop(store, id));
    });
  }

  /** What was changed between two moments, in whole blocks. */
  differences(disk: string, from: Moment, to: Moment): Promise<Differences> {
    return this.#disks.withOverlay(disk, async (overlay) => {
      if (from === 'now' || to === 'now') await overlay.store.checkpoint();
      const found = await overlay.store.still(() =>
        inTurns(differences(mapAt(overlay, from), mapAt(overlay, to))),
      );
      return { from, to, ...found };
    });
  }

  /**
   * Makes a base image of a generation; without one, of the disk as it is, which is kept as a generation for that unless
   * no base image comes of it.
   * `progress` is told the share that is done.
   */
  commit(
    disk: string,
    base: string,
    id: number | undefined,
    progress: (share: number) => void = () => {},
  ): Promise<BaseView> {
    return this.#disks.withOverlay(disk, async (overlay) => {
      const { store } = overlay;
      const known = id === undefined ? store.superblock : generationOf(store.generations, id);
      this.#disks.mayAddContent(base, known.size);
      const generation =
        id === undefined
          ? await snapshot(store, `base image ${base}`.slice(0, 63), this.#now())
          : generationOf(store.generations, id);
      const reading = { disk, id: generation.id };
      this.#reading.push(reading);
      const { size } = generation;
      const tree = mapOf(store, generation);
      const reader = new BlockReader(disk, store.file, overlay.base, () => tree);
      try {
        return await this.#disks.addContent(base, {
          name: `generation ${generation.id} of disk "${disk}"`,
          size,
          read: async (target, offset) => {
            await reader.read(target, offset);
            progress((offset + target.length) / size);
          },
        });
      } catch (error) {
        if (id === undefined) await abandon(store, generation, error as Error);
        throw error;
      } finally {
        this.#reading.splice(this.#reading.indexOf(reading), 1);
      }
    });
  }

  /** Closes a disk that is open here though nobody has it: another process may have it then. */
  letGo(disk: string): Promise<void> {
    return this.#disks.exclusively(disk, 'being closed', async () => {});
  }

  /** Makes a disk longer, in use or not. */
  async grow(disk: string, size: number): Promise<DiskView> {
    await this.#disks.withOverlay(disk, ({ store }) => grow(store, size));
    return this.#disks.get(disk);
  }
}

/** Takes back the generation that was made for what failed with `error`. */
async function abandon(store: OverlayStore, generation: Generation, error: Error): Promise<void> {
  await takeBack(store, generation).catch((why: Error) => {
    throw new StoreError(`${error.message}; generation ${generation.id} is left: ${why.message}`, {
      cause: error,
    });
  });
}

/** A map without unwritten changes. The present's is that of the last checkpoint. */
function mapAt({ store }: Overlay, moment: Moment): MapTree {
  const { size, root, blocks } = store.superblock;
  const none = { data: 0, zero: 0 };
  if (moment === 'base') return new MapTree(store.file, { place: BASE, crc: 0 }, blockCount(size), none);
  if (moment === 'now') return new MapTree(store.file, root, blockCount(size), blocks);
  return mapOf(store, generationOf(store.generations, moment));
}

function viewOf({ id, parent, time, label, size, blocks }: Generation): GenerationView {
  return {
    id,
    parent,
    time: new Date(time).toISOString(),
    label,
    size,
    blocksWritten: blocks.data,
    blocksZeroed: blocks.zero,
  };
}
