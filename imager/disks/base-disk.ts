import type { BaseContent } from './block-reader.ts';
import { type Disk, DiskError, type Extent } from './disk.ts';
import { BLOCK_SIZE } from './format.ts';

/** A base image as a disk of its own, for looking into it: any number of clients, no writes. */
export class BaseDisk implements Disk {
  readonly name: string;
  readonly size: number;
  readonly readOnly = true;
  readonly blockSize = BLOCK_SIZE;
  readonly #content: BaseContent;

  constructor(name: string, content: BaseContent) {
    this.name = name;
    this.size = content.size;
    this.#content = content;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    const { file } = this.#content;
    this.#content.intact();
    if (file.prompt(target.length)) file.readNow(target, offset);
    else await file.read(target, offset);
  }

  async write(): Promise<void> {
    throw this.#readOnly();
  }

  async writeZeroes(): Promise<void> {
    throw this.#readOnly();
  }

  async trim(): Promise<void> {
    throw this.#readOnly();
  }

  extents(offset: number, length: number, most: number): Extent[] {
    return this.#content.zeros.extents(offset, length, most);
  }

  #readOnly(): DiskError {
    return new DiskError('EPERM', `${this.name} is a base image, which nobody writes to`);
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}
