/**
 * The file system on a node's virtual disk, as far as the agent uses it: what was synced is on the imager's side and stays;
 * what was not is in the node's memory and may be lost with its power, each name for itself.
 */
import { dirname } from 'node:path/posix';
import type { Life } from './life.ts';

interface Content {
  bytes: Uint8Array;
  /** Its bytes are on the disk, under whatever name. */
  synced: boolean;
}

/** The file system as a running machine sees it. */
export interface MountedDisk {
  read(path: string): Uint8Array | undefined;
  /** Replaces a file as the agent's host does: write beside it, fsync, rename, fsync the directory. */
  replace(path: string, bytes: Uint8Array): void;
  /** Paths of all files. */
  paths(): string[];
  /** A file; nothing where there is none. */
  remove(path: string): void;
  /** As fsync(2) of a folder. */
  syncDirectory(path: string): void;
  /** As sync(2). */
  sync(): void;
}

export class SimulatedDisk {
  /** Name to content, as the disk has it. */
  readonly #stored = new Map<string, Content>();
  /** The same as the node's kernel has it. */
  #cached = new Map<string, Content>();

  /** Mounts it on a machine: what an earlier one had not synced is lost by now. */
  mounted(life: Life): MountedDisk {
    const seen = new Map([...this.#cached].map(([path, { bytes }]) => [path, bytes]));
    return {
      read: (path) => seen.get(path)?.slice(),
      replace: (path, bytes) => {
        const content: Content = { bytes: bytes.slice(), synced: false };
        const beside = `${path}.new`;
        seen.set(path, content.bytes);
        life.does(() => this.#cached.set(beside, content));
        life.does(() => {
          content.synced = true;
        });
        life.does(() => {
          this.#cached.delete(beside);
          this.#cached.set(path, content);
        });
        life.does(() => this.#storeNames((name) => dirname(name) === dirname(path)));
      },
      paths: () => [...seen.keys()],
      remove: (path) => {
        if (seen.delete(path)) life.does(() => this.#cached.delete(path));
      },
      syncDirectory: (path) => life.does(() => this.#storeNames((name) => dirname(name) === path)),
      sync: () =>
        life.does(() => {
          for (const content of this.#cached.values()) content.synced = true;
          this.#storeNames(() => true);
        }),
    };
  }

  /**
   * The node's memory is gone. `kept` says of each name that was changed and not synced whether the kernel had written that
   * by itself; of bytes that were not synced none are there then, as on ext4.
   */
  lose(kept: () => boolean): void {
    for (const name of new Set([...this.#cached.keys(), ...this.#stored.keys()])) {
      const cached = this.#cached.get(name);
      if (cached === this.#stored.get(name) || !kept()) continue;
      if (cached === undefined) this.#stored.delete(name);
      else this.#stored.set(name, cached.synced ? cached : { bytes: new Uint8Array(0), synced: true });
    }
    this.#cached = new Map(this.#stored);
  }

  #storeNames(which: (name: string) => boolean): void {
    for (const name of this.#stored.keys()) if (which(name)) this.#stored.delete(name);
    for (const [name, content] of this.#cached) if (which(name)) this.#stored.set(name, content);
  }
}
