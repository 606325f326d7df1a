/**
 * The boot table: the images there are, one folder each with the files and an image.json, which is signed (seal.ts). Nothing is
 * cached, so that the server sees what the command line has just added. An image never changes; another content is another name.
 */
import { readdirSync, statSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isName } from '../../agent/protocol/names.ts';
import type { Signer } from '../signing/signer.ts';
import { Additions } from '../storage/additions.ts';
import {
  removeUnfinished,
  replaceDurably,
  syncPath,
  unfinishedPath,
  writeDurably,
} from '../storage/durable.ts';
import { readPlain } from '../storage/regular.ts';
import { pathWords, systemWords } from '../storage/system-words.ts';
import { copyInto, putTogether, readHead } from './copy.ts';
import {
  type BootImage,
  checkName,
  type FileName,
  filesOf,
  ImageError,
  type ImageFile,
  parseImage,
} from './image.ts';
import { Intact } from './intact.ts';
import { checkSeal, SealError, sealed } from './seal.ts';
import { architectureOf, type NewImage, planOf } from './wish.ts';

const ENTRY = 'image.json';
/** Bytes: many times what any has. */
const MAX_ENTRY = 64 * 1024;

/** What a rename says where the name is a folder with something in it, or a file. */
const TAKEN = new Set<string | undefined>(['ENOTEMPTY', 'EEXIST', 'ENOTDIR']);

export class BootTable {
  readonly #dir: string;
  readonly #signer: Signer | undefined;
  readonly #additions = new Additions(ImageError);
  readonly #intact = new Intact();
  /** The image.json of each image whose signature was found good. */
  readonly #believed = new Map<string, string>();

  private constructor(dir: string, signer?: Signer) {
    this.#dir = dir;
    this.#signer = signer;
  }

  /**
   * Opens the table kept in `dir`, which is made where it is missing, and clears away what a crash left half done. `signer`: of the
   * cluster, which has added all that counts.
   */
  static async open(dir: string, signer: Signer): Promise<BootTable> {
    await mkdir(dir, { recursive: true });
    syncPath(dirname(resolve(dir)));
    removeUnfinished(dir);
    return new BootTable(dir, signer);
  }

  /**
   * The table in `dir`, for those who only look at it: nothing is made, nothing cleared away that another is writing, and whoever
   * signed what is there does not matter.
   */
  static read(dir: string): BootTable {
    return new BootTable(dir);
  }

  /**
   * Copies an image into the table; durable and whole when it resolves. Adding the same content again gives the image
   * that is there. Throws ImageError for bad names and arguments, files that cannot be read or written, names taken.
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
    // No image's name starts with a dot.
    const work = unfinishedPath(this.#dir);
    try {
      await mkdir(work, { mode: 0o755 });
      const files: Partial<Record<FileName, ImageFile>> = {};
      for (const [file, source] of sources)
        files[file] =
          typeof source === 'string'
            ? await copyInto(source, join(work, file), `${file} of image ${image.name}`, signal)
            : await putTogether(source, join(work, file), signal);
      const { head, bytes } = await readHead(join(work, main));
      const arch = architectureOf(image, kind, head, bytes);
      const added = new Date().toISOString();
      const entry = { name: image.name, kind, arch, args, files, added } as BootImage;
      writeDurably(join(work, ENTRY), sealed(entry, this.#signing()));
      syncPath(work);
      return await this.#publish(work, entry);
    } catch (error) {
      throw inWords(error, `image ${image.name} cannot be added`);
    } finally {
      // What does not go now goes at the next start.
      await rm(work, { recursive: true, force: true }).catch(() => {});
    }
  }

  /** The images, by name. Damaged ones are left out: see problems(). */
  list(): BootImage[] {
    return this.#all().filter((entry): entry is BootImage => !(entry instanceof ImageError));
  }

  /** What is wrong with the images that list() leaves out, and with files of others that were found not to be what was added. */
  problems(): string[] {
    return this.#all().flatMap((entry) =>
      entry instanceof ImageError ? [entry.message] : this.#changedFiles(entry),
    );
  }

  #changedFiles(image: BootImage): string[] {
    return filesOf(image).flatMap(([file, { sha256 }]) => {
      const found = this.#intact.known(this.path(image.name, file));
      const changed = found !== undefined && found !== sha256;
      return changed ? [this.#changedWords(image.name, file, sha256, found)] : [];
    });
  }

  /** The image of that name, or undefined. Throws ImageError where it is there but damaged. */
  get(name: string): BootImage | undefined {
    return isName(name) ? this.#load(name) : undefined;
  }

  /**
   * Reads every file of an image again and compares it with the checksum it was added with. Gives what differs, in
   * words; nothing where all is as it was. Undefined where there is no such image; throws ImageError for damaged ones, and for those
   * that are not signed so, with what differs.
   */
  async verify(name: string): Promise<string[] | undefined> {
    const image = this.#unsealed(name);
    const found = image && (await this.#differences(image));
    try {
      return this.get(name) && found;
    } catch (error) {
      if (!(error instanceof SealError) || found === undefined) throw error;
      const files = found.length === 0 ? 'its files are what its image.json says' : found.join('; ');
      throw new SealError(`${error.message}; ${files}`);
    }
  }

  /** The image of that name, whoever has signed it, or nobody. */
  #unsealed(name: string): BootImage | undefined {
    return isName(name) ? this.#load(name, () => {}) : undefined;
  }

  #differences(image: BootImage): Promise<string[]> {
    return this.#additions.run(async (signal) => {
      const found: string[] = [];
      for (const [file, { sha256 }] of filesOf(image)) {
        try {
          const now = await this.#intact.reread(this.path(image.name, file), signal);
          if (now !== sha256) found.push(`${file} has sha256 ${now}, not ${sha256}`);
        } catch (error) {
          const why = systemWords(error);
          if (why === undefined) throw error;
          found.push(`${file} cannot be read: ${why}`);
        }
      }
      return found;
    });
  }

  /**
   * Signs an image that nobody has signed, or another cluster, as it is now. Undefined where there is none; throws ImageError where
   * it is damaged, or cannot be written.
   */
  async sign(name: string): Promise<BootImage | undefined> {
    const image = this.#unsealed(name);
    if (image === undefined) return undefined;
    const [fault] = await this.#differences(image);
    if (fault !== undefined)
      throw new ImageError(`image ${name} is damaged: ${fault}; it is not signed: ${this.mending(name)}`);
    const folder = join(this.#dir, name);
    try {
      removeUnfinished(folder);
      replaceDurably(folder, ENTRY, sealed(image, this.#signing()));
    } catch (error) {
      throw inWords(error, `image ${name} cannot be signed`);
    }
    return image;
  }

  /**
   * Throws ImageError where a file of an image is not what its entry says, by its content: read at the first time, and again where it
   * may have changed since.
   */
  async checkFile(image: BootImage, file: FileName): Promise<void> {
    const expected = filesOf(image).find(([name]) => name === file)?.[1].sha256;
    const path = this.path(image.name, file);
    const found = await this.#additions.run((signal) => this.#intact.sha256(path, signal));
    if (found !== expected) throw new ImageError(this.#changedWords(image.name, file, expected, found));
  }

  /** Where a file of an image is. `name` must be an image's. */
  path(name: string, file: FileName): string {
    checkName(name);
    return join(this.#dir, name, file);
  }

  /** What is to be done about the damaged image `name`, in words. */
  mending(name: string): string {
    return `remove its folder ${join(resolve(this.#dir), name)} and add it again`;
  }

  /** Gives `work` the image's name, or gives the image that has it already: its name is durable either way. */
  async #publish(work: string, entry: BootImage): Promise<BootImage> {
    let published = entry;
    try {
      await rename(work, join(this.#dir, entry.name));
    } catch (error) {
      const present = TAKEN.has((error as NodeJS.ErrnoException).code) ? this.get(entry.name) : undefined;
      if (present === undefined) throw error;
      if (!sameContent(present, entry))
        throw new ImageError(
          `image ${entry.name} exists already, with other content (added ${present.added}): choose another name`,
        );
      published = present;
    }
    // Whoever put it there may have died before doing this.
    syncPath(this.#dir);
    return published;
  }

  #all(): (BootImage | ImageError)[] {
    const found: (BootImage | ImageError)[] = [];
    for (const entry of readdirSync(this.#dir, { withFileTypes: true })) {
      // A link to a folder is as good as the folder.
      if (!(entry.isDirectory() || entry.isSymbolicLink()) || entry.name.startsWith('.')) continue;
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

  #changedWords(name: string, file: FileName, expected: string | undefined, found: string): string {
    return `image ${name} is not what was added: ${file} has sha256 ${found}, not ${expected}; ${this.mending(name)}`;
  }

  #signing(): Signer {
    if (this.#signer === undefined) throw new Error('this boot table is only looked at');
    return this.#signer;
  }

  /** Throws SealError where an entry is not this cluster's. */
  #believe(image: BootImage, text: string): void {
    if (this.#signer === undefined || this.#believed.get(image.name) === text) return;
    checkSeal(image, text, this.#signer);
    this.#believed.set(image.name, text);
  }

  #load(
    name: string,
    believe = (image: BootImage, text: string) => this.#believe(image, text),
  ): BootImage | undefined {
    let text: string;
    try {
      text = readPlain(join(this.#dir, name, ENTRY), MAX_ENTRY);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Too many open files: that will pass, and says nothing of the image.
      if (code === 'EMFILE' || code === 'ENFILE') throw error;
      if (code !== 'ENOENT' && code !== 'ENOTDIR')
        throw new ImageError(`image ${name} is damaged: image.json cannot be read: ${message}`);
      if (statSync(join(this.#dir, name), { throwIfNoEntry: false }) === undefined) return undefined;
      throw new ImageError(`image ${name} is damaged: no image.json; ${this.mending(name)}`);
    }
    const image = parseImage(name, text, this.mending(name));
    believe(image, text);
    for (const [file, expected] of filesOf(image)) {
      const there = statSync(this.path(name, file), { throwIfNoEntry: false });
      const bytes = there?.isFile() ? there.size : undefined;
      if (bytes !== expected.bytes)
        throw new ImageError(
          `image ${name} is damaged: ${file} has ${bytes ?? 'no'} bytes, not ${expected.bytes}; ` +
            this.mending(name),
        );
    }
    return image;
  }
}

/** No space, a failing disk, a state folder that may not be written to: for the asker to read, behind `what`. */
function inWords(error: unknown, what: string): unknown {
  const why = pathWords(error) ?? systemWords(error);
  return why === undefined ? error : new ImageError(`${what}: ${why}`, { cause: error });
}

function key(entry: BootImage | ImageError): string {
  return entry instanceof ImageError ? entry.message : entry.name;
}

function sameContent(a: BootImage, b: BootImage): boolean {
  const identity = (image: BootImage) =>
    JSON.stringify([image.arch, image.args, filesOf(image).map(([file, { sha256 }]) => [file, sha256])]);
  return identity(a) === identity(b);
}
