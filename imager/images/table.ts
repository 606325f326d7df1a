/**
 * The boot table: the images there are, one folder each with the files and an image.json. Nothing is cached, so that
 * the server sees what the command line has just added. An image never changes; another content is another name.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Additions } from '../storage/additions.ts';
import { syncPath, writeDurably } from '../storage/durable.ts';
import { copyInto, hashFile, readHead } from './copy.ts';
import {
  type BootImage,
  checkName,
  type FileName,
  filesOf,
  ImageError,
  type ImageFile,
  parseImage,
} from './image.ts';
import { architectureOf, type NewImage, planOf } from './wish.ts';

/** Folders being written: no image name starts with a dot. */
const UNFINISHED = '.unfinished-';
/** Nobody is still writing a folder that was made so long ago. */
const ABANDONED_MS = 3_600_000;

export class BootTable {
  readonly #dir: string;
  readonly #additions = new Additions(ImageError);

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Opens the table kept in `dir`, which is made where it is missing, and clears away what a crash left half done. */
  static async open(dir: string): Promise<BootTable> {
    await mkdir(dir, { recursive: true });
    syncPath(dirname(resolve(dir)));
    for (const name of await readdir(dir)) {
      if (!name.startsWith(UNFINISHED)) continue;
      const made = (await stat(join(dir, name)).catch(() => undefined))?.mtimeMs ?? Infinity;
      if (Date.now() - made > ABANDONED_MS) await rm(join(dir, name), { recursive: true, force: true });
    }
    return new BootTable(dir);
  }

  /**
   * Copies an image into the table; durable and whole when it resolves. Adding the same content again gives the image
   * that is there. Throws ImageError for bad names and arguments, unreadable files, and names already taken.
   */
  add(image: NewImage): Promise<BootImage> {
    return this.#additions.run((signal) => this.#add(image, signal));
  }

  /** Interrupts additions, and resolves once nothing of them is left. */
  close(): Promise<void> {
    return this.#additions.close();
  }

  async #add(image: NewImage, signal: AbortSignal): Promise<BootImage> {
    const { kind, main, args, sources } = planOf(image);
    const work = await mkdtemp(join(this.#dir, UNFINISHED));
    try {
      await chmod(work, 0o755);
      const files: Partial<Record<FileName, ImageFile>> = {};
      for (const [file, source] of sources)
        files[file] = await copyInto(source, join(work, file), `${file} of image ${image.name}`, signal);
      const arch = architectureOf(image, kind, await readHead(join(work, main)), files[main]!.bytes);
      const added = new Date().toISOString();
      const entry = { name: image.name, kind, arch, args, files, added } as BootImage;
      writeDurably(join(work, 'image.json'), `${JSON.stringify(entry, null, 2)}\n`);
      syncPath(work);
      return await this.#publish(work, entry);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  /** The images, by name. Damaged ones are left out: see problems(). */
  list(): BootImage[] {
    return this.#all().filter((entry): entry is BootImage => !(entry instanceof ImageError));
  }

  /** What is wrong with the images that list() leaves out. */
  problems(): string[] {
    return this.#all()
      .filter((entry) => entry instanceof ImageError)
      .map((error) => error.message);
  }

  /** The image of that name, or undefined. Throws ImageError where it is there but damaged. */
  get(name: string): BootImage | undefined {
    try {
      checkName(name);
    } catch {
      return undefined;
    }
    return this.#load(name);
  }

  /**
   * Reads every file of an image again and compares it with the checksum it was added with. Gives what differs, in
   * words; nothing where all is as it was. Undefined where there is no such image; throws ImageError for damaged ones.
   */
  async verify(name: string): Promise<string[] | undefined> {
    const image = this.get(name);
    if (image === undefined) return undefined;
    return this.#additions.run(async (signal) => {
      const found: string[] = [];
      for (const [file, { sha256 }] of filesOf(image)) {
        const now = await hashFile(this.path(name, file), signal);
        if (now !== sha256) found.push(`${file} has sha256 ${now}, not ${sha256}`);
      }
      return found;
    });
  }

  /** Where a file of an image is. `name` must be an image's. */
  path(name: string, file: FileName): string {
    checkName(name);
    return join(this.#dir, name, file);
  }

  async #publish(work: string, entry: BootImage): Promise<BootImage> {
    try {
      await rename(work, join(this.#dir, entry.name));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      const present = this.get(entry.name);
      if (present !== undefined && sameContent(present, entry)) return present;
      throw new ImageError(
        `image ${entry.name} exists already, with other content (added ${present?.added}): choose another name`,
      );
    }
    syncPath(this.#dir);
    return entry;
  }

  #all(): (BootImage | ImageError)[] {
    const found: (BootImage | ImageError)[] = [];
    for (const entry of readdirSync(this.#dir, { withFileTypes: true })) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
      try {
        checkName(entry.name);
        const image = this.#load(entry.name);
        if (image !== undefined) found.push(image);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        found.push(error);
      }
    }
    return found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  }

  #load(name: string): BootImage | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.#dir, name, 'image.json'), 'utf8');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Too many open files: that will pass, and says nothing of the image.
      if (code === 'EMFILE' || code === 'ENFILE') throw error;
      if (code !== 'ENOENT' && code !== 'ENOTDIR')
        throw new ImageError(`image ${name} is damaged: image.json cannot be read: ${message}`);
      if (statSync(join(this.#dir, name), { throwIfNoEntry: false }) === undefined) return undefined;
      throw new ImageError(`image ${name} is damaged: no image.json; remove its folder and add it again`);
    }
    const image = parseImage(name, text);
    for (const [file, expected] of filesOf(image)) {
      const bytes = statSync(this.path(name, file), { throwIfNoEntry: false })?.size;
      if (bytes !== expected.bytes)
        throw new ImageError(
          `image ${name} is damaged: ${file} has ${bytes ?? 'no'} bytes, not ${expected.bytes}; ` +
            'remove its folder and add it again',
        );
    }
    return image;
  }
}

function key(entry: BootImage | ImageError): string {
  return entry instanceof ImageError ? entry.message : entry.name;
}

function sameContent(a: BootImage, b: BootImage): boolean {
  const identity = (image: BootImage) =>
    JSON.stringify([image.arch, image.args, filesOf(image).map(([file, { sha256 }]) => [file, sha256])]);
  return identity(a) === identity(b);
}
