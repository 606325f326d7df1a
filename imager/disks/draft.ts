/** What a checkpoint will make durable, before it is. No I/O. */
import { crc32 } from 'node:zlib';
import { BLOCK_SIZE, type PlaceRun } from './format.ts';
import { encodeTable, type Generation } from './generation-table.ts';
import type { PageWrite } from './map-page.ts';
import type { MapTree } from './map-tree.ts';
import type { Space } from './space.ts';
import type { Superblock } from './superblock.ts';

/** What a checkpoint is about to make durable. */
export interface Draft {
  superblock: Superblock;
  generations: Generation[];
  /** The map from now on. */
  tree: MapTree;
  /** What is to be written before the superblock: whole places. */
  writes: PageWrite[];
}

/** The places of a table of generations. */
export interface Tables {
  /** The last checkpoint's, where this one has another. */
  before: PlaceRun[];
  /** This one's, where it is another. */
  made: PlaceRun[];
}

/** What else a checkpoint does, at the moment it is of. Where one of them throws, there is no checkpoint. */
export interface Alterations {
  /** Before the map is captured; `undo` takes back what it did to the map, where nothing comes of the checkpoint. */
  prepare?: (tree: MapTree, superblock: Superblock) => void;
  undo?: (tree: MapTree, superblock: Superblock, space: Space) => void;
  /** With what is captured. */
  alter?: (draft: Draft) => void;
}

/** A checkpoint as it was at its moment. */
export interface Cut extends Draft {
  captured: { tree: MapTree; pages: [number, number][] };
  /** What only the checkpoint before it needs. */
  retired: PlaceRun[];
  segments: PlaceRun[];
  tables: Tables;
}

/** Gives the table of generations a new place, where it is not `former`'s. */
export function placeTable(draft: Draft, former: readonly Generation[], space: Space): Tables {
  const { superblock, generations, writes } = draft;
  const same = (generation: Generation, i: number): boolean => generation === former[i];
  if (generations.length === former.length && generations.every(same)) return { before: [], made: [] };
  const bytes = encodeTable(generations);
  const { table } = superblock;
  const before = table.rows > 0 ? [{ place: table.place, count: table.count }] : [];
  superblock.table = { place: 0, crc: 0, count: 0, rows: 0 };
  if (generations.length === 0) return { before, made: [] };
  const { place, count } = space.takeRun(bytes.length / BLOCK_SIZE);
  writes.push({ place, bytes });
  superblock.table = { place, count, crc: crc32(bytes), rows: generations.length };
  return { before, made: [{ place, count }] };
}
