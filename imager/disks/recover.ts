/**
 * An overlay as its file tells it after whatever ended its last user: the newest superblock, and the journal's records
 * after it. Records that are known to have been durable are taken as they are. Of later ones the data may not have come
 * to the drive: they are taken up to the last one after which all that the map has of them is what they say it is. So a
 * crash of this process loses nothing that was acknowledged, and one of the machine nothing that was flushed.
 */
import { crc32 } from 'node:zlib';
import type { BlockFile } from './block-file.ts';
import { checksums } from './checksums.ts';
import { BLOCK_SIZE, blockCount, FormatError, type PlaceRun, SUPERBLOCK_PLACES } from './format.ts';
import { decodeTable, type Generation } from './generation-table.ts';
import {
  type Change,
  decodeRecord,
  type JournalPosition,
  type JournalRecord,
  type Mark,
} from './journal-record.ts';
import { clearBlocks, putBlocks } from './map-change.ts';
import { MapTree } from './map-tree.ts';
import { superblockCopies } from './overlay-file.ts';
import { chooseSuperblock, type Segment, type Superblock } from './superblock.ts';
import { atOnce, type Steps } from './turns.ts';

const READ_BLOCKS = 64;

export interface Recovered {
  superblock: Superblock;
  /** The copy of the superblock that was used. */
  copy: 0 | 1;
  /** True where the other copy is another one, or is not valid. */
  uneven: boolean;
  /** What is wrong with a copy of the superblock. */
  faults: string[];
  /** With `onDamage`, what else is wrong: it counts as not there. */
  lost: { what: 'generations' | 'journal'; message: string }[];
  generations: Generation[];
  tree: MapTree;
  journal: JournalPosition;
  /** The last record that was known to be durable. */
  durable: Mark;
  /** Segments of the journal before that of its position. */
  before: PlaceRun[];
  /** Nothing but zeroes lies behind the last record. */
  clean: boolean;
  /**
   * Where that is not so a sync may have failed: what was written and is not known to be durable may be in the kernel's
   * memory only, and no later sync would bring it to the drive, unless it is written again.
   */
  unsure: PlaceRun[];
  /** Changes taken from the journal. */
  replayed: number;
  /** True where records were found whose data had not come to the drive. */
  cut: boolean;
  /** Places of pages that the last checkpoint has and the map has not. */
  retired: number[];
  /** Places that the file has, or should have: none behind is the journal's, nor named by it. */
  end: number;
}

/** Throws FormatError, DiskError. `onDamage`: see MapTree; nothing but the superblock is an error then. */
export function recover(file: BlockFile, onDamage?: MapTree['onDamage']): Recovered {
  return atOnce(recovery(file, onDamage));
}

/** As recover(), in steps: there may be some MiB of journal, and much data to verify after a power cut. */
export function* recovery(file: BlockFile, onDamage?: MapTree['onDamage']): Steps<Recovered> {
  const places = Math.floor(file.size() / BLOCK_SIZE);
  const [a, b] = superblockCopies(file);
  const chosen = chooseSuperblock(a, b);
  const { superblock } = chosen;
  const tree = new MapTree(file, superblock.root, blockCount(superblock.size), superblock.blocks);
  tree.onDamage = onDamage;
  const chain = yield* readChain(file, superblock.journal, places);
  const synced = chain.records.reduce((most, { record }) => Math.max(most, record.synced), 0);
  const found: Recovered = {
    ...chosen,
    uneven: !a.equals(b),
    generations: [],
    lost: [],
    tree,
    journal: chain.end,
    durable: durableMark(chain, superblock.journal, synced),
    before: chain.before,
    clean: chain.clean,
    unsure: [],
    replayed: 0,
    cut: false,
    retired: [],
    end: Math.ceil(file.size() / BLOCK_SIZE),
  };
  try {
    found.generations = readTable(file, superblock, places);
  } catch (error) {
    if (onDamage === undefined) throw error;
    found.lost.push({ what: 'generations', message: `${(error as Error).message}: all of them are lost` });
    found.superblock = { ...superblock, table: { place: 0, crc: 0, count: 0, rows: 0 } };
  }
  let sound = yield* soundRecords(file, chain, { synced, blocks: tree.blocks, places });
  const strange = chain.records.findIndex(({ record: { changes } }) =>
    changes.some(({ block, count }) => block + count > tree.blocks),
  );
  if (strange >= 0 && strange < sound) {
    const message = `the journal has blocks behind the disk's end, ${tree.blocks}`;
    if (onDamage === undefined) throw new FormatError(message);
    found.lost.push({ what: 'journal', message: `${message}: writes from there on are lost` });
    sound = strange;
  }
  for (const { record } of chain.records.slice(0, sound)) {
    yield;
    for (const change of record.changes) {
      apply(tree, change, found.retired);
      if (change.place < SUPERBLOCK_PLACES) continue;
      found.end = Math.max(found.end, change.place + change.count);
      if (!chain.clean && record.lsn > synced) found.unsure.push(change);
    }
    found.replayed += record.changes.length;
  }
  const lost = chain.records[sound];
  if (lost !== undefined) {
    // What lies behind the position is of no account: what leads on to another segment is written there.
    Object.assign(found, { journal: lost.at, before: lost.before, clean: false, cut: true });
  }
  // A link may have come to the drive without the segment that it leads to.
  const segments = [...found.before, found.journal.segment];
  for (const { place, count } of segments) found.end = Math.max(found.end, place + count);
  if (!chain.clean) found.unsure.push(...segments);
  return found;
}

/**
 * How many records to take. A block whose data is not what its record says does no harm where a later record that is
 * taken has the block, too: its place may have been used again since.
 */
function* soundRecords(
  file: BlockFile,
  { records }: Chain,
  { synced, blocks, places }: { synced: number; blocks: number; places: number },
): Steps<number> {
  const first = records.findIndex(({ record }) => record.lsn > synced);
  if (first < 0) return records.length;
  /** Blocks that the records so far have, and whether the data is theirs. */
  const arrived = new Map<number, boolean>();
  let bad = 0;
  const set = (block: number, good: boolean | undefined): void => {
    if (arrived.get(block) === false) bad--;
    if (good === undefined) arrived.delete(block);
    else arrived.set(block, good);
    if (good === false) bad++;
  };
  let sound = first;
  for (let i = first; i < records.length; i++) {
    for (const change of records[i]!.record.changes) {
      const { block, count, place } = change;
      if (block + count > blocks) return sound;
      if (place >= SUPERBLOCK_PLACES) {
        const good = yield* verify(file, change, places);
        for (let at = 0; at < count; at++) set(block + at, good[at]!);
      } else if (count > arrived.size) {
        for (const each of [...arrived.keys()])
          if (each >= block && each < block + count) set(each, undefined);
      } else for (let at = 0; at < count; at++) set(block + at, undefined);
    }
    if (bad === 0) sound = i + 1;
  }
  return sound;
}

/** Whole places; what the file does not have reads as zeroes. */
function readPlaces(file: BlockFile, { place, count }: PlaceRun, places: number): Buffer {
  const bytes = Buffer.alloc(count * BLOCK_SIZE);
  const there = Math.max(0, Math.min(count, places - place));
  if (there > 0) file.readNow(bytes.subarray(0, there * BLOCK_SIZE), place * BLOCK_SIZE);
  return bytes;
}

/** The generations that a superblock names. Throws FormatError, DiskError. */
function readTable(file: BlockFile, { table }: Superblock, places: number): Generation[] {
  if (table.rows === 0) return [];
  if (table.place + table.count > places || table.count > 64)
    throw new FormatError('the table of generations lies outside the file');
  const bytes = readPlaces(file, table, places);
  if (crc32(bytes) !== table.crc) throw new FormatError('the table of generations is damaged');
  return decodeTable(bytes, table.rows);
}

interface Chain {
  /** Each with where it is, and the segments before that. */
  records: { record: JournalRecord; at: JournalPosition; before: PlaceRun[] }[];
  end: JournalPosition;
  before: PlaceRun[];
  clean: boolean;
}

/** The journal's records, up to the first that is not one. */
function* readChain(file: BlockFile, start: Segment & { lsn: number }, places: number): Steps<Chain> {
  const records: Chain['records'] = [];
  let { lsn } = start;
  let segment: Segment = { place: start.place, count: start.count, salt: start.salt };
  let before: PlaceRun[] = [];
  for (;;) {
    const bytes = readPlaces(file, segment, places);
    let offset = 0;
    let link: Segment | undefined;
    while (link === undefined) {
      yield;
      const record = decodeRecord(bytes, offset, segment.salt, lsn);
      if (record === undefined) {
        const whole = segment.place + segment.count <= places;
        const clean = whole && bytes.subarray(offset).equals(Buffer.alloc(bytes.length - offset));
        return { records, end: { segment, offset, lsn }, before, clean };
      }
      records.push({ record, at: { segment, offset, lsn }, before });
      offset += record.length;
      lsn++;
      link = record.link;
    }
    before = [...before, { place: segment.place, count: segment.count }];
    segment = link;
  }
}

function durableMark({ records }: Chain, start: Segment, synced: number): Mark {
  const last = records.findLast(({ record }) => record.lsn <= synced);
  if (last === undefined) return { lsn: 0, end: start.place * BLOCK_SIZE };
  const { segment, offset, lsn } = last.at;
  const { link } = last.record;
  if (link !== undefined) return { lsn, end: link.place * BLOCK_SIZE };
  return { lsn, end: segment.place * BLOCK_SIZE + offset + last.record.length };
}

/** Writes runs of places again as they are. Throws DiskError. */
export function* renewal(file: BlockFile, runs: readonly PlaceRun[]): Steps<void> {
  const places = Math.floor(file.size() / BLOCK_SIZE);
  for (const { place, count } of runs)
    for (let at = place; at < Math.min(places, place + count); at += READ_BLOCKS) {
      const bytes = Buffer.alloc(Math.min(READ_BLOCKS, places - at, place + count - at) * BLOCK_SIZE);
      file.readNow(bytes, at * BLOCK_SIZE);
      file.writeNow(bytes, at * BLOCK_SIZE);
      yield;
    }
}

/** Of each block of a change, whether its data is in the file. */
function* verify(file: BlockFile, { count, place, crcs }: Change, places: number): Steps<boolean[]> {
  const there = Math.max(0, Math.min(count, places - place));
  const good = new Array<boolean>(count).fill(false);
  const buffer = new Uint8Array(Math.min(count, READ_BLOCKS) * BLOCK_SIZE);
  for (let done = 0; done < there; done += READ_BLOCKS) {
    const blocks = Math.min(READ_BLOCKS, there - done);
    file.readNow(buffer.subarray(0, blocks * BLOCK_SIZE), (place + done) * BLOCK_SIZE);
    checksums(buffer.subarray(0, blocks * BLOCK_SIZE)).forEach((crc, i) => {
      good[done + i] = crc === crcs[done + i];
    });
    yield;
  }
  return good;
}

function apply(tree: MapTree, change: Change, retired: number[]): void {
  const { block, count, place, crcs } = change;
  // The file may have been cut off since behind places that later records replace: that is no fault.
  if (place >= SUPERBLOCK_PLACES)
    putBlocks(tree, block, { place, crcs, from: 0, count: crcs.length, released: () => {} });
  else
    clearBlocks(
      tree,
      block,
      block + count,
      () => {},
      (page) => retired.push(page),
    );
}
