/**
 * The changes of an overlay's map since its last flush, kept where they outlive this process: a node goes on after a
 * restart of the imager and never sends again what was acknowledged, so acknowledged writes must be there, flushed or
 * not. They are handed to the kernel, not made durable: after a crash of the whole machine only what was flushed
 * counts, since the content of later blocks may be lost. The kernel's boot id tells the two apart.
 *
 *     0x00   8  "BWRECNT1"
 *     0x08  36  boot id of the machine, ASCII; zeroes up to 0x40
 *     0x40  20  per change: generation, first block, block after the last, state (0 base, 1 data, 2 zero), CRC-32 of
 *               these 16 bytes; unsigned 32-bit numbers, little-endian
 *
 * Two files take turns, a generation each: a flush begins a new one in the other file, because its own changes count
 * until it is done. A file's changes are those of its first record's generation; what follows is left from before.
 * Of the two, the older one counts only where it is of the generation just before; else it was flushed long ago, and what
 * came after it is gone. Changes that were flushed already may be made again as long as all later ones follow.
 */
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from '../../agent/protocol/crc32.ts';
import { asDiskError } from './block-file.ts';
import type { BlockState } from './block-map.ts';

const MAGIC = 'BWRECNT1';
const HEADER_SIZE = 0x40;
const RECORD_SIZE = 20;
const NAMES = ['recent-a', 'recent-b'] as const;
/** So many changes call for a flush: 1.3 MB, a few milliseconds to read. */
const MANY = 65_536;

export interface Change {
  from: number;
  to: number;
  state: BlockState;
}

export class RecentChanges {
  /** What was acknowledged before this start and maybe not flushed, in order. */
  readonly found: readonly Change[];
  readonly #fds: readonly [number, number];
  readonly #record = new Uint8Array(RECORD_SIZE);
  #current: 0 | 1 = 0;
  #generation: number;
  #count: number;

  private constructor(found: Change[], generation: number, fds: [number, number]) {
    this.found = found;
    this.#generation = generation;
    this.#count = found.length;
    this.#fds = fds;
  }

  /** Reads what an earlier process left in the disk's folder, and goes on from there. `bootId` of this machine. */
  static open(dir: string, bootId: string): RecentChanges {
    const [a, b] = NAMES.map((name) => readChanges(join(dir, name), bootId));
    const [first, last] = a!.generation <= b!.generation ? [a!, b!] : [b!, a!];
    const follows = first.generation + 1 === last.generation;
    const found = [...(follows ? first.changes : []), ...last.changes];
    // All of it in one file, in one step: from here on the other one is free.
    const generation = (last.generation + 1) >>> 0;
    const path = join(dir, NAMES[0]);
    writeFileSync(
      `${path}.new`,
      Buffer.concat([header(bootId), ...found.map((each) => encode(generation, each))]),
    );
    renameSync(`${path}.new`, path);
    writeFileSync(join(dir, NAMES[1]), header(bootId));
    return new RecentChanges(found, generation, [openSync(path, 'r+'), openSync(join(dir, NAMES[1]), 'r+')]);
  }

  /** True where it is time for a flush. */
  get many(): boolean {
    return this.#count >= MANY;
  }

  /** Notes a change whose content is in the data file. Throws DiskError. */
  note(change: Change): void {
    encodeInto(this.#record, this.#generation, change);
    const offset = HEADER_SIZE + this.#count * RECORD_SIZE;
    try {
      if (writeSync(this.#fds[this.#current], this.#record, 0, RECORD_SIZE, offset) !== RECORD_SIZE)
        throw new Error('a change of the map was written in part');
    } catch (error) {
      throw asDiskError(error);
    }
    this.#count += 1;
  }

  /** A flush takes over all changes noted so far; those of the flush before it are not needed any more. */
  turn(): void {
    this.#current = this.#current === 0 ? 1 : 0;
    this.#generation = (this.#generation + 1) >>> 0;
    this.#count = 0;
  }

  /** Nothing noted counts any more: the kernel may have lost what the data file was given. */
  forget(): void {
    for (const fd of this.#fds) ftruncateSync(fd, 0);
  }

  close(): void {
    for (const fd of this.#fds) closeSync(fd);
  }
}

/** The boot id of this machine's kernel. */
export function machineBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function header(bootId: string): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE);
  bytes.write(MAGIC + bootId, 'latin1');
  return bytes;
}

function encode(generation: number, change: Change): Uint8Array {
  const bytes = new Uint8Array(RECORD_SIZE);
  encodeInto(bytes, generation, change);
  return bytes;
}

function encodeInto(bytes: Uint8Array, generation: number, { from, to, state }: Change): void {
  const view = new DataView(bytes.buffer);
  for (const [i, value] of [generation, from, to, state].entries()) view.setUint32(i * 4, value, true);
  view.setUint32(16, crc32(bytes.subarray(0, 16)), true);
}

/** A file's changes; none where it is missing, of another boot of the machine, or not one of these. */
function readChanges(path: string, bootId: string): { generation: number; changes: Change[] } {
  const changes: Change[] = [];
  let generation = 0;
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { generation, changes };
    throw asDiskError(error);
  }
  if (!bytes.subarray(0, HEADER_SIZE).equals(header(bootId))) return { generation, changes };
  for (let at = HEADER_SIZE; at + RECORD_SIZE <= bytes.length; at += RECORD_SIZE) {
    const record = bytes.subarray(at, at + RECORD_SIZE);
    if (record.readUInt32LE(16) !== crc32(record.subarray(0, 16))) break;
    if (at === HEADER_SIZE) generation = record.readUInt32LE(0);
    if (record.readUInt32LE(0) !== generation) break;
    const state = record.readUInt32LE(12);
    if (state > 2) break;
    changes.push({ from: record.readUInt32LE(4), to: record.readUInt32LE(8), state: state as BlockState });
  }
  return { generation, changes };
}
