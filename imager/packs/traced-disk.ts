/** A disk in the hands of one client, with an eye on what it reads of the base and on its first write. */
import type { Disk, Extent, FilePart, Keep } from '../disks/disk.ts';

/** What is told of it; `reads` may throw nothing and is asked before the read. */
export interface Watcher {
  /** False once nobody wants to hear of reads any more. */
  readonly listening: boolean;
  reads(offset: number, length: number): void;
  /** Something is being written, zeroed or trimmed. */
  changes(): void;
}

export class TracedDisk implements Disk {
  readonly name: string;
  readonly readOnly: boolean;
  readonly blockSize: number;
  readonly #disk: Disk;
  readonly #watcher: Watcher;
  readonly #closed: () => void;
  #closing: Promise<void> | undefined;

  /** `closed` is called once, when the disk is given back. */
  constructor(disk: Disk, watcher: Watcher, closed: () => void) {
    this.name = disk.name;
    this.readOnly = disk.readOnly;
    this.blockSize = disk.blockSize;
    this.#disk = disk;
    this.#watcher = watcher;
    this.#closed = closed;
  }

  /** A disk may grow while it is attached. */
  get size(): number {
    return this.#disk.size;
  }

  read(target: Uint8Array, offset: number): Promise<void> {
    if (this.#watcher.listening) this.#watcher.reads(offset, target.length);
    return this.#disk.read(target, offset);
  }

  /** Whoever asks is about to read the range. */
  fileParts(offset: number, length: number, least: number): FilePart[] {
    if (this.#watcher.listening) this.#watcher.reads(offset, length);
    return this.#disk.fileParts(offset, length, least);
  }

  write(source: Uint8Array, offset: number, keep?: Keep): Promise<void> {
    this.#watcher.changes();
    return this.#disk.write(source, offset, keep);
  }

  writeZeroes(offset: number, length: number, mayTrim: boolean): Promise<void> {
    this.#watcher.changes();
    return this.#disk.writeZeroes(offset, length, mayTrim);
  }

  trim(offset: number, length: number): Promise<void> {
    this.#watcher.changes();
    return this.#disk.trim(offset, length);
  }

  extents(offset: number, length: number, most: number): Extent[] {
    return this.#disk.extents(offset, length, most);
  }

  flush(): Promise<void> {
    return this.#disk.flush();
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      // Told first: whoever opens the disk next may do so before its flush is done.
      this.#closed();
      this.#closing = this.#disk.close();
    }
    return this.#closing;
  }
}
