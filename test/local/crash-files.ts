/**
 * What a power cut leaves of a folder: the calls that changed it are noted as they are made on the real file system, and each
 * state that a disk may be in after any number of them is made anew. A file's bytes, and each name in a folder, are there for
 * certain once their fsync has returned; before that each for itself may be as it was or as it was to be.
 *
 * `vi.mock('node:fs', async () => (await import('./crash-files.ts')).notingFiles())`
 */
import { dirname, join } from 'node:path';
import { vi } from 'vitest';

type Fs = typeof import('node:fs');

export type Deed =
  | { do: 'make' | 'create' | 'remove' | 'sync'; path: string }
  | { do: 'write'; path: string; bytes: Uint8Array; at: number }
  | { do: 'rename'; path: string; to: string };

let noted: Deed[] | undefined;

/** The calls under `work` that changed or synced files. */
export function deedsOf(work: () => void): Deed[] {
  const deeds: Deed[] = [];
  noted = deeds;
  try {
    work();
  } finally {
    noted = undefined;
  }
  return deeds;
}

/** Node's own calls, noted. */
export async function notingFiles(): Promise<Fs> {
  const fs = await vi.importActual<Fs>('node:fs');
  const pathOf = (fd: number) => fs.readlinkSync(`/proc/self/fd/${fd}`);
  const note = (deed: Deed) => noted?.push(deed);
  const calls = {
    mkdirSync(path: string, options: object) {
      const missing: string[] = [];
      for (let at = path; !fs.existsSync(at); at = dirname(at)) missing.unshift(at);
      fs.mkdirSync(path, options);
      for (const each of missing) note({ do: 'make', path: each });
    },
    openSync(path: string, flags: string, mode: number) {
      const isNew = !fs.existsSync(path);
      const fd = fs.openSync(path, flags, mode);
      if (isNew) note({ do: 'create', path });
      return fd;
    },
    writeSync(fd: number, bytes: Uint8Array, from: number, length: number, at: number) {
      const put = fs.writeSync(fd, bytes, from, length, at);
      note({ do: 'write', path: pathOf(fd), bytes: bytes.slice(from, from + put), at });
      return put;
    },
    fsyncSync(fd: number) {
      fs.fsyncSync(fd);
      note({ do: 'sync', path: pathOf(fd) });
    },
    renameSync(path: string, to: string) {
      fs.renameSync(path, to);
      note({ do: 'rename', path, to });
    },
    unlinkSync(path: string) {
      fs.unlinkSync(path);
      note({ do: 'remove', path });
    },
    rmdirSync(path: string) {
      fs.rmdirSync(path);
      note({ do: 'remove', path });
    },
    rmSync(path: string, options: object) {
      const was = fs.existsSync(path);
      fs.rmSync(path, options);
      if (was) note({ do: 'remove', path });
    },
  };
  return { ...fs, ...(calls as unknown as Partial<Fs>) };
}

class File {
  cached = new Uint8Array(0);
  synced: Uint8Array | undefined;
}

class Folder {
  readonly cached = new Map<string, File | Folder>();
  synced = new Map<string, File | Folder>();
}

/** A folder as the kernel has it and as the disk has it. */
export class CrashDisk {
  readonly #root: string;
  readonly #tree: Folder;

  /** As `root` is now, all of it durable. */
  constructor(fs: Fs, root: string) {
    this.#root = root;
    this.#tree = durableTree(fs, root);
  }

  take(deed: Deed): void {
    if (!deed.path.startsWith(`${this.#root}/`) && deed.path !== this.#root) return;
    switch (deed.do) {
      case 'make':
        this.#above(deed.path).cached.set(nameOf(deed.path), new Folder());
        break;
      case 'create':
        this.#above(deed.path).cached.set(nameOf(deed.path), new File());
        break;
      case 'write': {
        const file = this.#find(deed.path) as File;
        const bytes = new Uint8Array(Math.max(file.cached.length, deed.at + deed.bytes.length));
        bytes.set(file.cached);
        bytes.set(deed.bytes, deed.at);
        file.cached = bytes;
        break;
      }
      case 'sync': {
        const found = this.#find(deed.path);
        if (found instanceof Folder) found.synced = new Map(found.cached);
        else found.synced = found.cached;
        break;
      }
      case 'rename': {
        const file = this.#find(deed.path);
        this.#above(deed.path).cached.delete(nameOf(deed.path));
        this.#above(deed.to).cached.set(nameOf(deed.to), file);
        break;
      }
      case 'remove':
        this.#above(deed.path).cached.delete(nameOf(deed.path));
    }
  }

  /** Makes in `target`, an empty folder, what is left; `kept` says of each thing that was not synced whether it came through. */
  leave(fs: Fs, target: string, kept: () => boolean): void {
    leaveTree(fs, this.#tree, target, kept);
  }

  #above(path: string): Folder {
    return this.#find(dirname(path)) as Folder;
  }

  #find(path: string): File | Folder {
    let at: File | Folder = this.#tree;
    for (const name of path.slice(this.#root.length + 1).split('/')) {
      if (name === '') continue;
      const next: File | Folder | undefined = at instanceof Folder ? at.cached.get(name) : undefined;
      if (next === undefined) throw new Error(`${path} is not there`);
      at = next;
    }
    return at;
  }
}

function durableTree(fs: Fs, path: string): Folder {
  const folder = new Folder();
  for (const entry of fs.readdirSync(path, { withFileTypes: true })) {
    const at = join(path, entry.name);
    if (entry.isDirectory()) folder.cached.set(entry.name, durableTree(fs, at));
    else {
      const file = new File();
      file.cached = new Uint8Array(fs.readFileSync(at));
      file.synced = file.cached;
      folder.cached.set(entry.name, file);
    }
  }
  folder.synced = new Map(folder.cached);
  return folder;
}

function leaveTree(fs: Fs, folder: Folder, target: string, kept: () => boolean): void {
  for (const name of new Set([...folder.cached.keys(), ...folder.synced.keys()])) {
    const [cached, synced] = [folder.cached.get(name), folder.synced.get(name)];
    const left = cached === synced || kept() ? cached : synced;
    if (left === undefined) continue;
    const path = join(target, name);
    if (left instanceof Folder) {
      fs.mkdirSync(path);
      leaveTree(fs, left, path, kept);
    } else {
      const whole = left.cached === left.synced || kept();
      fs.writeFileSync(path, whole ? left.cached : (left.synced ?? new Uint8Array(0)));
    }
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
