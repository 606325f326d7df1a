/**
 * The operator's folder of menus: files ending in .liquid are templates, served without that ending; all others are
 * served as they are (Raspberry Pi's start4.elf, an iPXE of one's own). What is in force is one state of the whole
 * folder: a change with a fault in it waits until it is mended, and the last good state stays.
 */
import type { Stats } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import type { Logger } from 'pino';
import { normalisePath } from '../images/tree.ts';
import { BUILT_IN } from './builtin.ts';
import { formatOf } from './format.ts';
import { isPartial, MAX_TEMPLATE, type TemplateSource, Templates } from './template.ts';

const LIQUID = '.liquid';
const MAX_FILES = 10_000;
/** A folder is looked at so often, or less where looking takes more than a twentieth of that. */
const LOOK_MS = 1000;
const SHARE = 20;

/** The folder cannot be used; `message` has one fault a line. */
export class LibraryError extends Error {}

/** One good state of the folder. */
export interface Shelf {
  templates: Templates;
  /** Paths that have an operator's template. */
  written: ReadonlyMap<string, TemplateSource>;
  /** Served path to file on this machine. */
  files: ReadonlyMap<string, string>;
}

export class Library {
  readonly #dir: string | undefined;
  readonly #log: Logger;
  #shelf: Shelf = { templates: new Templates(BUILT_IN), written: new Map(), files: new Map() };
  #seen = '';
  /** The last state that was not good, so that it is not read over and over. */
  #bad: { seen: string; error: unknown } | undefined;
  #problem: string | undefined;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(dir: string | undefined, log: Logger) {
    this.#dir = dir;
    this.#log = log;
  }

  /** Reads the folder; without one there are the built-in templates alone. Rejects with LibraryError. */
  static async open(dir: string | undefined, log: Logger): Promise<Library> {
    const library = new Library(dir, log);
    if (dir === undefined) return library;
    await library.#read();
    return library;
  }

  /** Looks at the folder again and again, until close(). */
  watch(): void {
    if (this.#dir !== undefined && !this.#closed) this.#lookIn(LOOK_MS);
  }

  get shelf(): Shelf {
    return this.#shelf;
  }

  /** What keeps the folder's present state from being used. */
  problems(): string[] {
    return this.#problem === undefined ? [] : [this.#problem];
  }

  /** Takes the folder's present state where it has changed and is good. Never rejects. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #lookIn(ms: number): void {
    this.#timer = setTimeout(async () => {
      const start = performance.now();
      await this.refresh();
      if (!this.#closed) this.#lookIn(Math.max(LOOK_MS, SHARE * (performance.now() - start)));
    }, ms).unref();
  }

  async #look(): Promise<void> {
    try {
      if (await this.#read()) this.#log.info({ dir: this.#dir }, 'templates read again');
      this.#problem = undefined;
    } catch (error) {
      const problem = `templates as they were before the last change are in force: ${(error as Error).message}`;
      if (problem !== this.#problem) this.#log.error({ dir: this.#dir }, problem);
      this.#problem = problem;
    }
  }

  /** Resolves to whether anything had changed since the last good state. */
  async #read(): Promise<boolean> {
    const dir = this.#dir!;
    const found = await listing(dir);
    const seen = found.map(({ path, file, facts }) => `${path} ${file} ${facts}`).join('\n');
    if (seen === this.#seen) return false;
    if (seen === this.#bad?.seen) throw this.#bad.error;
    try {
      this.#shelf = shelfOf(await contents(dir, found));
    } catch (error) {
      this.#bad = { seen, error };
      throw error;
    }
    this.#seen = seen;
    return true;
  }
}

interface Found {
  /** Relative to the folder, with slashes. */
  path: string;
  /** What it is on this machine, links followed. */
  file: string;
  /** Change with the content. */
  facts: string;
}

async function listing(dir: string): Promise<Found[]> {
  const root = await realpath(dir).catch((error: NodeJS.ErrnoException) => {
    throw new LibraryError(`${dir}: ${error.code === 'ENOENT' ? 'no such folder' : error.message}`);
  });
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  if (entries.length > MAX_FILES)
    throw new LibraryError(
      `${dir}: ${entries.length} files, at most ${MAX_FILES}: is this the right folder?`,
    );
  const found: Found[] = [];
  for (const entry of entries) {
    const path = relative(root, join(entry.parentPath, entry.name)).split(sep).join('/');
    // Editors' and version control's own.
    if (entry.isDirectory() || /(?:^|\/)\.|~$/.test(path)) continue;
    const place = join(root, path);
    const file = entry.isSymbolicLink() ? await realpath(place).catch(() => undefined) : place;
    const stats = file === undefined ? undefined : await stat(file).catch(() => undefined);
    // Gone since the folder was read, or a link that leads nowhere.
    if (file === undefined || stats === undefined || stats.isDirectory()) continue;
    const where = join(dir, path);
    if (!stats.isFile()) throw new LibraryError(`${where}: is no regular file`);
    if (!file.startsWith(`${root}/`))
      throw new LibraryError(`${where}: is a link that leads out of the folder: put a copy here`);
    found.push({ path, file, facts: factsOf(stats) });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function factsOf({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [ino, size, mtimeMs, ctimeMs].join(' ');
}

interface Contents {
  written: Map<string, TemplateSource>;
  files: Map<string, string>;
}

async function contents(dir: string, found: readonly Found[]): Promise<Contents> {
  const written = new Map<string, TemplateSource>();
  const files = new Map<string, string>();
  const faults: string[] = [];
  for (const { path, file } of found) {
    const place = join(basename(dir), path);
    const isTemplate = path.endsWith(LIQUID);
    const served = isTemplate ? path.slice(0, -LIQUID.length) : path;
    if (normalisePath(served) !== served)
      faults.push(`${place}: no loader could ask for a file of this name`);
    else if (served.startsWith('images/'))
      faults.push(`${place}: images/ is the boot table's: use another folder`);
    else if (written.has(served) || files.has(served))
      faults.push(`${place}: ${served} is there both as a file and as a template: keep one`);
    else if (!isTemplate && isPartial(served)) continue;
    else if (!isTemplate) files.set(served, file);
    else {
      const text = await textOf(file);
      if ('fault' in text) faults.push(`${place}: ${text.fault}`);
      else written.set(served, { place, text: text.text });
    }
  }
  if (faults.length > 0) throw new LibraryError(faults.join('\n'));
  return { written, files };
}

async function textOf(file: string): Promise<{ text: string } | { fault: string }> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => error);
  if (bytes instanceof Error) return { fault: bytes.message };
  if (bytes.length > MAX_TEMPLATE) return { fault: `${bytes.length} bytes, at most ${MAX_TEMPLATE}` };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { fault: 'is not UTF-8 text' };
  }
}

function shelfOf({ written, files }: Contents): Shelf {
  const templates = new Templates(new Map([...BUILT_IN, ...written]));
  const faults = [...written.keys()].flatMap((path) => templates.faults(path, formatOf(path)));
  if (faults.length > 0) throw new LibraryError(faults.map(({ message }) => message).join('\n'));
  for (const path of written.keys()) if (isPartial(path)) written.delete(path);
  return { templates, written, files };
}
