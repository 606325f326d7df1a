/**
 * What TFTP and HTTP clients can load:
 *
 *     images/NAME/kernel, initrd, dtb    files of the boot table
 *     images/NAME/manifest.env           generated for U-Boot: see manifest()
 *     images/NAME/boot.ipxe              generated for iPXE: see ipxeScript()
 *     and fixed files, e.g. ipxe/undionly.kpxe
 */
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type BootFile, type BootFileClient, type BootFiles, memoryFile } from './boot-files.ts';
import { generatedFile } from './generated.ts';
import { filesOf } from './image.ts';
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

export class BootTree implements BootFiles {
  readonly #table: BootTable;
  readonly #fixed: Map<string, string>;

  /** `fixed`: served path to file on this machine. */
  constructor(table: BootTable, fixed: Record<string, string> = {}) {
    this.#table = table;
    this.#fixed = new Map(Object.entries(fixed));
  }

  /** See BootFiles. Rejects with ImageError where the path is of an image that is damaged. */
  async open(path: string, _client: BootFileClient): Promise<BootFile | undefined> {
    const wanted = normalisePath(path);
    if (wanted === undefined) return undefined;
    const fixed = this.#fixed.get(wanted);
    if (fixed !== undefined) return openFile(fixed);
    const [room, name, file, ...rest] = wanted.split('/');
    if (room !== 'images' || name === undefined || file === undefined || rest.length > 0) return undefined;
    return this.#openOfImage(name, file);
  }

  async #openOfImage(name: string, file: string): Promise<BootFile | undefined> {
    const image = this.#table.get(name);
    if (image === undefined) return undefined;
    const generated = generatedFile(image, file);
    if (generated !== undefined) return memoryFile(generated);
    const stored = filesOf(image).find(([known]) => known === file)?.[0];
    if (stored === undefined) return undefined;
    return openFile(this.#table.path(name, stored));
  }
}

async function openFile(path: string): Promise<BootFile | undefined> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  const { size } = await handle.stat();
  return {
    size,
    async read(target, offset) {
      const length = Math.min(target.length, size - offset);
      if (length <= 0) return 0;
      return (await handle.read(target, 0, length, offset)).bytesRead;
    },
    close: () => handle.close(),
  };
}
