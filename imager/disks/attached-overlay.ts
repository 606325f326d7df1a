import type { Disk, Extent, FilePart, Keep } from './disk.ts';
import type { Overlay } from './overlay.ts';

/** An overlay in the hands of one client. Closing it gives it back. */
export class AttachedOverlay implements Disk {
  readonly name: string;
  readonly readOnly = false;
  readonly blockSize: number;
  readonly #overlay: Overlay;
  readonly #release: () => Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(overlay: Overlay, release: () => Promise<void>) {
    this.name = overlay.name;
    this.blockSize = overlay.blockSize;
    this.#overlay = overlay;
    this.#release = release;
  }

  get size(): number {
    return this.#overlay.size;
  }

  read(target: Uint8Array, offset: number): Promise<void> {
    return this.#overlay.read(target, offset);
  }

  fileParts(offset: number, length: number, least: number): FilePart[] {
    return this.#overlay.fileParts(offset, length, least);
  }

  write(source: Uint8Array, offset: number, keep?: Keep): Promise<void> {
    return this.#overlay.write(source, offset, keep);
  }

  writeZeroes(offset: number, length: number, mayTrim: boolean): Promise<void> {
    return this.#overlay.writeZeroes(offset, length, mayTrim);
  }

  trim(offset: number, length: number): Promise<void> {
    return this.#overlay.trim(offset, length);
  }

  extents(offset: number, length: number, most: number): Extent[] {
    return this.#overlay.extents(offset, length, most);
  }

  flush(): Promise<void> {
    return this.#overlay.flush();
  }

  close(): Promise<void> {
    this.#closing ??= this.#release();
    return this.#closing;
  }
}
