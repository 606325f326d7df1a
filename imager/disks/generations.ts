/** What is done with the generations of an overlay: each in one checkpoint, so a crash leaves it done or not begun. */
import type { Draft } from './draft.ts';
import { blockCount, MAX_DISK_SIZE, SIZE_RULE } from './format.ts';
import { type Generation, MAX_GENERATIONS, MAX_LABEL } from './generation-table.ts';
import { MapTree } from './map-tree.ts';
import type { OverlayStore } from './overlay-store.ts';
import { StoreError, whatExists } from './store-error.ts';

/** The generation of that number. Throws StoreError where there is none. */
export function generationOf(generations: readonly Generation[], id: number): Generation {
  const found = generations.find((generation) => generation.id === id);
  if (found !== undefined) return found;
  const known = generations.map((generation) => String(generation.id));
  throw new StoreError(`no generation ${id}; ${whatExists('generation', known)}`);
}

/** The map of a kept generation. For reading. */
export function mapOf(store: OverlayStore, { root, size, blocks }: Generation): MapTree {
  return new MapTree(store.file, root, blockCount(size), blocks);
}

/**
 * Keeps the disk as it is at one moment, with all that was acknowledged before, under a label of at most 63 bytes; writes go
 * on meanwhile. `time` in milliseconds since 1970. Rejects with StoreError, DiskError.
 */
export async function snapshot(store: OverlayStore, label: string, time: number): Promise<Generation> {
  if (Buffer.byteLength(label) > MAX_LABEL) throw new StoreError(`a label has at most ${MAX_LABEL} bytes`);
  let made: Generation | undefined;
  await store.checkpoint({
    alter: (draft) => {
      made = keep(draft, label, time);
    },
  });
  return made!;
}

function keep(draft: Draft, label: string, time: number): Generation {
  const { superblock, generations } = draft;
  if (generations.length >= MAX_GENERATIONS)
    throw new StoreError(`there are ${MAX_GENERATIONS} generations already: drop some`);
  const { root, size, blocks, parent, next } = superblock;
  const made: Generation = { id: next, parent, time: Math.floor(time), size, root, blocks, label };
  generations.push(made);
  superblock.parent = next;
  superblock.next = next + 1;
  return made;
}

/**
 * Makes the disk what it was in generation `id`; nobody may be using it. What it is now is kept as a generation first,
 * where none has that yet; that generation is given. Rejects with StoreError, DiskError.
 */
export async function rollBack(store: OverlayStore, id: number, time: number): Promise<Generation> {
  let kept: Generation | undefined;
  const alter = (draft: Draft): void => {
    const { superblock, generations } = draft;
    const target = generationOf(generations, id);
    const parent = generations.find((generation) => generation.id === superblock.parent);
    const unchanged =
      parent !== undefined && parent.root.place === superblock.root.place && parent.size === superblock.size;
    kept = unchanged ? parent : keep(draft, `before the roll back to ${id}`, time);
    const { root, size, blocks } = target;
    Object.assign(superblock, { root, size, blocks, parent: id });
    draft.tree = mapOf(store, target);
  };
  await store.checkpoint({ alter });
  return kept!;
}

/** Gives a generation up, and does `more` with it; what only it has is free then. Rejects with StoreError, DiskError. */
export async function drop(
  store: OverlayStore,
  id: number,
  more: (draft: Draft) => void = () => {},
): Promise<Generation> {
  let dropped: Generation | undefined;
  const alter = (draft: Draft): void => {
    const { generations } = draft;
    dropped = generationOf(generations, id);
    generations.splice(generations.indexOf(dropped), 1);
    more(draft);
  };
  await store.checkpoint({ alter });
  await store.rescan();
  return dropped!;
}

/** Gives a generation up that was made for something that came to nothing. Rejects as drop() does. */
export async function takeBack(store: OverlayStore, { id, parent }: Generation): Promise<void> {
  await drop(store, id, ({ superblock }) => {
    if (superblock.parent === id) superblock.parent = parent;
  });
}

/**
 * Makes the disk longer; what is new reads as zeroes. Rejects with StoreError where it would get shorter, and with
 * DiskError: it is as long as before then.
 */
export async function grow(store: OverlayStore, size: number): Promise<void> {
  if (!Number.isSafeInteger(size) || size < 1 || size > MAX_DISK_SIZE) throw new StoreError(SIZE_RULE);
  await store.checkpoint({
    prepare: (tree, superblock) => {
      if (size < superblock.size)
        throw new StoreError(`it has ${superblock.size} bytes, and a disk cannot be made smaller`);
      tree.grow(blockCount(size));
    },
    undo: (tree, superblock, space) => tree.shrink(blockCount(superblock.size), space),
    alter: ({ superblock }) => {
      superblock.size = size;
    },
  });
}
