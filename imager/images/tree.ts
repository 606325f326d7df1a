/**
 * What TFTP and HTTP clients can load:
 *
 *     images/NAME/kernel, boot.efi ...   files of the boot table: see FILE_NAMES
 *     images/NAME/boot.ipxe ...          made from it for iPXE, U-Boot, PXE: see generatedFile()
 *     boot.ipxe, pxelinux.cfg/... etc.   made for each node: see menus/path.ts
 *     and fixed files, e.g. ipxe/undionly.kpxe
 *
 * Folders in front of these names are a loader's own and taken off.
 */
import { existsSync } from 'node:fs';
import { NotPlainError, openPlain } from '../storage/regular.ts';
import { type BootFile, type BootFileClient, type BootFiles, memoryFile } from './boot-files.ts';
import { generatedFile } from './generated.ts';
import { type FileName, filesOf } from './image.ts';
import type { BootTable } from './table.ts';

/** Longer paths are refused unread. */
const MAX_PATH = 512;

/** iPXE's own binaries as Debian's package `ipxe` ships them, under the path each is served as. */
const DEBIAN_IPXE: Record<string, string> = {
  'ipxe/undionly.kpxe': '/usr/lib/ipxe/undionly.kpxe',
  'ipxe/snponly.efi': '/usr/lib/ipxe/snponly.efi',
  'ipxe/ipxe.efi': '/boot/ipxe.efi',
};

/** Those of Debian's iPXE binaries that are installed on this machine: served path to file. */
export function installedIpxe(): Record<string, string> {
  return Object.fromEntries(Object.entries(DEBIAN_IPXE).filter(([, file]) => existsSync(file)));
}

/**
 * The one form of a path as clients write it: backslashes are slashes, leading and double slashes and '.' go, '..'
 * takes back a part but never leaves the tree. Undefined where it names no file: empty, over-long, or with controls.
 */
export function normalisePath(path: string): string | undefined {
  if (path.length > MAX_PATH || /\p{Cc}/u.test(path)) return undefined;
  const parts: string[] = [];
  for (const part of path.split(/[/\\]/)) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.length === 0 ? undefined : parts.join('/');
}

/** Something made for one client, a file on this machine, or a file of an image. */
export type Served = { bytes: Uint8Array } | { path: string } | { image: string; file: FileName };

/** Files made for the node that asks. */
export interface NodeMenuFiles {
  /** What `client` gets for `path`, which is in its normal form; undefined where there is no such name. Throws NotServed. */
  find(path: string, client: BootFileClient): Served | undefined;
}

/** `a/b/c`, `b/c` and `c`: the path without the folders that loaders put in front of it. */
export function endsOf(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, start) => parts.slice(start).join('/'));
}

export class BootTree implements BootFiles {
  readonly #table: BootTable;
  readonly #fixed: Map<string, string>;
  readonly #menus: NodeMenuFiles;

  /** `fixed`: served path to file on this machine. */
  constructor(
    table: BootTable,
    fixed: Record<string, string> = {},
    menus: NodeMenuFiles = { find: () => undefined },
  ) {
    this.#table = table;
    this.#fixed = new Map(Object.entries(fixed));
    this.#menus = menus;
  }

  /** See BootFiles. Rejects with ImageError where the path is of an image that is damaged, or not what was added. */
  async open(path: string, client: BootFileClient): Promise<BootFile | undefined> {
    const wanted = normalisePath(path);
    if (wanted === undefined) return undefined;
    const [room, name, file] = wanted.split('/').slice(-3);
    if (room === 'images' && name !== undefined && file !== undefined) return this.#openOfImage(name, file);
    const made = this.#menus.find(wanted, client);
    if (made !== undefined) return this.#openMade(made);
    const fixed = endsOf(wanted).find((end) => this.#fixed.has(end));
    return fixed === undefined ? undefined : openFile(this.#fixed.get(fixed)!);
  }

  #openMade(made: Served): Promise<BootFile | undefined> | BootFile {
    if ('bytes' in made) return memoryFile(made.bytes);
    if ('path' in made) return openFile(made.path);
    return this.#openOfImage(made.image, made.file);
  }

  async #openOfImage(name: string, file: string): Promise<BootFile | undefined> {
    const image = this.#table.get(name);
    if (image === undefined) return undefined;
    const generated = generatedFile(image, file);
    if (generated !== undefined) return memoryFile(generated);
    const stored = filesOf(image).find(([known]) => known === file)?.[0];
    if (stored === undefined) return undefined;
    await this.#table.checkFile(image, stored);
    return openFile(this.#table.path(name, stored));
  }
}

async function openFile(path: string): Promise<BootFile | undefined> {
  const handle = await openPlain(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error instanceof NotPlainError) return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  const { size, mtimeMs, ino } = await handle.stat().catch(async (error) => {
    await handle.close();
    throw error;
  });
  return {
    size,
    version: [size, Math.round(mtimeMs * 1000), ino].map((number) => number.toString(36)).join('-'),
    async read(target, offset) {
      const length = Math.min(target.length, size - offset);
      if (length <= 0) return 0;
      return (await handle.read(target, 0, length, offset)).bytesRead;
    },
    close: () => handle.close(),
  };
}
