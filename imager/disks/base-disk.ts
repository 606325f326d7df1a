import { asDiskError } from './block-file.ts';
import type { BaseContent } from './block-reader.ts';
import { type Disk, DiskError, DONE, type Extent, type FilePart } from './disk.ts';
import { BLOCK_SIZE } from './format.ts';

/** A base image as a disk of its own, for looking into it: any number of clients, no writes. */
export class BaseDisk implements Disk {
  readonly name: string;
  readonly size: number;
  readonly readOnly = true;
  readonly blockSize = BLOCK_SIZE;
  readonly #content: BaseContent;
  readonly #release: () => void;

  /** `release` hears of the close. */
  constructor(name: string, content: BaseContent, release: () => void) {
    this.name = name;
    this.size = content.size;
    this.#content = content;
    this.#release = release;
  }

  read(target: Uint8Array, offset: number): Promise<void> {
    const { file } = this.#content;
    try {
      this.#content.intact();
      if (!file.prompt(target.length)) return file.read(target, offset);
      file.readNow(target, offset);
      return DONE;
    } catch (error) {
      return Promise.reject(asDiskError(error));
    }
  }

  fileParts(offset: number, length: number, least: number): FilePart[] {
    this.#content.intact();
    const part = length < least ? undefined : this.#content.file.part(offset, length);
    return part === undefined ? [] : [part];
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

  async close(): Promise<void> {
    this.#release();
  }
}
