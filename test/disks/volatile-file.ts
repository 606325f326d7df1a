/**
 * A BlockFile as a drive with a write cache behaves: what was written is there, but only `sync` makes it survive.
 * `afterPowerCut` gives a file as it may look after power was cut: of the writes since the last sync, any may be
 * there, or not, or torn.
 */
import type { BlockFile } from '../../imager/disks/block-file.ts';
import { DiskError } from '../../imager/disks/disk.ts';

interface Pending {
  offset: number;
  bytes: Uint8Array;
  /** The pages the write touched, whole, as it left them: what is written back in one go. */
  pages: Uint8Array;
}

const PAGE = 4096;
const pageOf = (offset: number): number => Math.floor(offset / PAGE) * PAGE;

export class VolatileFile implements BlockFile {
  #stored: Uint8Array;
  #cached: Uint8Array;
  #pending: Pending[] = [];
  /** False: calls go the asynchronous way, and end only in a later turn of the event loop. */
  prompts = true;
  /** Set to make every later call of that kind fail. */
  failing: 'read' | 'write' | 'sync' | undefined;
  /** Set to hold asynchronous calls of that kind until it resolves. */
  readGate: Promise<void> | undefined;
  writeGate: Promise<void> | undefined;
  syncGate: Promise<void> | undefined;
  syncs = 0;
  writes = 0;
  /** Bytes it may have; a write that needs more fails. */
  room = Number.POSITIVE_INFINITY;
  /** Ranges whose space was given back. */
  readonly holes: [number, number][] = [];

  constructor(content: Uint8Array) {
    this.#stored = Uint8Array.from(content);
    this.#cached = Uint8Array.from(content);
  }

  prompt(): boolean {
    return this.prompts;
  }

  readNow(target: Uint8Array, offset: number): void {
    if (this.failing === 'read') throw new DiskError('EIO', 'unreadable');
    if (offset + target.length > this.#cached.length) throw new DiskError('EIO', 'read past the end');
    target.set(this.#cached.subarray(offset, offset + target.length));
  }

  part(): undefined {
    return undefined;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    await later();
    await this.readGate;
    this.readNow(target, offset);
  }

  writeNow(source: Uint8Array, offset: number): void {
    if (this.failing === 'write') throw new DiskError('ENOSPC', 'no space left');
    this.writes++;
    const end = offset + source.length;
    if (end > this.room && end > this.#cached.length) throw new DiskError('ENOSPC', 'no space left');
    if (end > this.#cached.length) this.#cached = grown(this.#cached, end);
    this.#cached.set(source, offset);
    const pages = this.#cached.slice(pageOf(offset), pageOf(offset + source.length + PAGE - 1));
    this.#pending.push({ offset, bytes: Uint8Array.from(source), pages });
  }

  async write(source: Uint8Array, offset: number): Promise<void> {
    await later();
    await this.writeGate;
    this.writeNow(source, offset);
  }

  async sync(): Promise<void> {
    this.syncs++;
    const covered = this.#pending.length;
    await later();
    await this.syncGate;
    if (this.failing === 'sync') throw new DiskError('EIO', 'the drive failed');
    for (const { offset, bytes } of this.#pending.splice(0, covered))
      this.#stored = put(this.#stored, bytes, offset);
  }

  /** What was written in that range and is not safe will not be by a later sync. */
  forget(from: number, to: number): void {
    this.#pending = this.#pending.filter(({ offset }) => offset < from || offset >= to);
  }

  size(): number {
    return this.#cached.length;
  }

  /** As a journalling file system does it: the new length is durable before what is written afterwards. */
  truncate(size: number): void {
    this.#cached = grown(this.#cached.slice(0, size), size);
    this.#stored = this.#stored.slice(0, size);
    this.#pending = this.#pending.filter(({ offset }) => offset < size);
  }

  punch(offset: number, length: number): boolean {
    this.holes.push([offset, length]);
    this.#cached.fill(0, offset, offset + length);
    this.#stored.fill(0, offset, offset + length);
    return true;
  }

  isAt(): boolean {
    return true;
  }

  close(): void {}

  /** What is safe now: the content after a power cut that lost every write since the last sync. */
  stored(): Uint8Array {
    return this.#stored.slice();
  }

  /** What readers see now. */
  content(): Uint8Array {
    return this.#cached.slice();
  }

  /**
   * Power was cut. Units of `unit` bytes (at most a page) are written whole or not at all, with what earlier writes
   * left in them; `kept` tells of each write that is not safe how many of the units it touches made it, from its start.
   */
  afterPowerCut(kept: (units: number) => number, unit: number): VolatileFile {
    let content = this.stored();
    for (const { offset, bytes, pages } of this.#pending) {
      const first = Math.floor(offset / unit);
      const units = Math.ceil((offset + bytes.length) / unit) - first;
      const from = first * unit - pageOf(offset);
      content = put(content, pages.subarray(from, from + kept(units) * unit), first * unit);
    }
    return new VolatileFile(content);
  }
}

function put(content: Uint8Array, bytes: Uint8Array, offset: number): Uint8Array {
  const end = offset + bytes.length;
  const whole = end > content.length ? grown(content, end) : content;
  whole.set(bytes, offset);
  return whole;
}

/** With as much room again behind it, all zero, for files grow by many short appends. */
function grown(content: Uint8Array, size: number): Uint8Array {
  if (size <= content.buffer.byteLength) return new Uint8Array(content.buffer, 0, size);
  const other = new Uint8Array(new ArrayBuffer(2 * size), 0, size);
  other.set(content);
  return other;
}

function later(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
