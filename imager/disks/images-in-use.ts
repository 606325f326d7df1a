/** The base images in use: each is opened once, shared by all who read it, and closed after the last of them. */
import type { BaseImage } from './base-image.ts';
import { StoreError } from './store-error.ts';

/** How often they are looked at for changes. */
const LOOK_MS = 250;

export class ImagesInUse {
  readonly #images = new Map<string, { image: BaseImage; users: number }>();
  #looking: NodeJS.Timeout | undefined;

  /** One more user of the image; undefined where nobody has it. Throws StoreError where it was changed. */
  take(name: string): BaseImage | undefined {
    const found = this.#images.get(name);
    if (found === undefined) return undefined;
    found.image.look();
    const damage = this.damage(name);
    if (damage !== undefined) throw new StoreError(damage);
    found.users++;
    return found.image;
  }

  /** The first user of an image. */
  add(image: BaseImage): void {
    this.#images.set(image.name, { image, users: 1 });
    this.#looking ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** One user less. Nothing may be read any more for that one. */
  release(image: BaseImage): void {
    const found = this.#images.get(image.name);
    if (found?.image !== image || --found.users > 0) return;
    this.#images.delete(image.name);
    image.file.close();
  }

  /** Why an image in use has no further users; undefined where it may have them. */
  damage(name: string): string | undefined {
    const fault = this.#images.get(name)?.image.fault;
    return fault === undefined
      ? undefined
      : `${fault}: stop whoever uses disks over it; the next open reads it to see whether it is what was added`;
  }

  /** Looks whether they were changed. */
  look(): void {
    for (const { image } of this.#images.values()) image.look();
  }

  /** Closes them all. */
  close(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
    for (const { image } of this.#images.values()) image.file.close();
    this.#images.clear();
  }
}
