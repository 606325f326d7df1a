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
  readonly #cached: Uint8Array;
  #pending: Pending[] = [];
  /** False: calls go the asynchronous way, and end only in a later turn of the event loop. */
  prompts = true;
  /** Set to make every later call of that kind fail. */
  failing: 'read' | 'write' | 'sync' | undefined;
  /** Set to hold asynchronous calls of that kind until it resolves. */
  readGate: Promise<void> | undefined;
  syncGate: Promise<void> | undefined;
  syncs = 0;

  constructor(content: Uint8Array) {
    this.#stored = content.slice();
    this.#cached = content.slice();
  }

  prompt(): boolean {
    return this.prompts;
  }

  readNow(target: Uint8Array, offset: number): void {
    if (this.failing === 'read') throw new DiskError('EIO', 'unreadable');
    if (offset + target.length > this.#cached.length) throw new DiskError('EIO', 'read past the end');
    target.set(this.#cached.subarray(offset, offset + target.length));
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    await later();
    await this.readGate;
    this.readNow(target, offset);
  }

  writeNow(source: Uint8Array, offset: number): void {
    if (this.failing === 'write') throw new DiskError('ENOSPC', 'no space left');
    if (offset + source.length > this.#cached.length) throw new DiskError('EIO', 'write past the end');
    this.#cached.set(source, offset);
    const pages = this.#cached.slice(pageOf(offset), pageOf(offset + source.length + PAGE - 1));
    this.#pending.push({ offset, bytes: source.slice(), pages });
  }

  async write(source: Uint8Array, offset: number): Promise<void> {
    await later();
    this.writeNow(source, offset);
  }

  async sync(): Promise<void> {
    this.syncs++;
    const covered = this.#pending.length;
    await later();
    await this.syncGate;
    if (this.failing === 'sync') throw new DiskError('EIO', 'the drive failed');
    for (const { offset, bytes } of this.#pending.splice(0, covered)) this.#stored.set(bytes, offset);
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
    const content = this.stored();
    for (const { offset, bytes, pages } of this.#pending) {
      const first = Math.floor(offset / unit);
      const units = Math.ceil((offset + bytes.length) / unit) - first;
      const from = first * unit - pageOf(offset);
      content.set(pages.subarray(from, from + kept(units) * unit), first * unit);
    }
    return new VolatileFile(content);
  }
}

function later(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
