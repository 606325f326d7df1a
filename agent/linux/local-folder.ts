/**
 * The local store as a folder of the node's disk (seed 002, figure 10), below the agent's state directory:
 *
 *     clusters/index.json     the clusters the node is defined in, and which is current and which target; on a virtual disk
 *                             that one's name, so that a copy of it is known
 *     clusters/ID/N/          the definition to the cluster ID; N grows by one with each that is written
 *         cluster.json        name and id
 *         node.json           id of the definition, node number, name, hardware UID
 *         imagers.json        in order of preference, and which is the primary
 *         key, signer         in hexadecimal
 *         sums                CRC-32 and name of each of the others
 *     log/local.log           what was defined, forgotten and pointed at: the last lines of it
 *     lock                    held by the one agent that writes (state-lock.ts)
 *
 * A definition is written into a folder of its own, which counts once the index names it: a file that is replaced as a whole. So a
 * power cut anywhere leaves the former content or the new one. What the index does not name is removed; it is written before the
 * first definition, so that where it is missing beside one it was lost. All files have mode 0600.
 */
import { crc32 } from '../protocol/crc32.ts';
import type { Definition, LocalContent, LocalStore } from '../protocol/definition.ts';
import {
  contentFaults,
  isUuid,
  LocalRefusedError,
  LocalStoreError,
  withDefinition,
  withoutCluster,
} from '../protocol/local-content.ts';
import { wordsOf } from '../protocol/words-of.ts';
import { type Host, HostError } from './host.ts';
import { STATE_DIRECTORY } from './journal.ts';
import { decodeDefinition, encodeDefinition } from './local-files.ts';
import { readText } from './read-text.ts';

const PRIVATE = 0o600;
const LOG_LINES = 200;

/** What the index says: content whose definitions are numbers of folders. */
interface Index {
  folders: Map<string, number>;
  current: string | null;
  target: string | null;
  /** Name of the virtual disk it was written on; null where nobody said. */
  disk: string | null;
}

/** Nothing is defined, as an index written on the virtual disk `disk` says it. */
function emptyIndex(disk: string | null): Index {
  return { folders: new Map(), current: null, target: null, disk };
}

/**
 * Opens the store for writing, and removes what an earlier writer left behind. Only for who has the state directory's lock
 * (state-lock.ts). `disk`: the virtual disk that the folder is on. Throws LocalStoreError where the index is damaged.
 */
export function openLocalFolder(
  host: Host,
  state: string = STATE_DIRECTORY,
  disk: string | null = null,
): LocalFolder {
  const store = new LocalFolder(host, state, disk);
  store.tidy();
  return store;
}

export class LocalFolder implements LocalStore {
  readonly #host: Host;
  readonly #state: string;
  readonly #clusters: string;
  readonly #indexFile: string;
  readonly #disk: string | null;

  /** To be read only, unless by openLocalFolder(). */
  constructor(host: Host, state: string, disk: string | null = null) {
    this.#host = host;
    this.#state = state;
    this.#disk = disk;
    this.#clusters = `${state}/clusters`;
    this.#indexFile = `${this.#clusters}/index.json`;
  }

  read(): LocalContent {
    const { folders, current, target } = this.#index();
    const definitions = [...folders].map(([id, folder]) => this.#definition(id, folder));
    const content = { definitions, current, target };
    const faults = contentFaults(content);
    if (faults.length > 0) throw damaged(this.#indexFile, faults.join('; '));
    return content;
  }

  define(definition: Definition): void {
    this.#write(withDefinition(this.read(), definition), { define: definition });
  }

  erase(clusterId: string): void {
    const before = this.read();
    const definition = before.definitions.find(({ cluster }) => cluster.id === clusterId);
    if (definition !== undefined) this.#write(withoutCluster(before, clusterId), { erase: definition });
  }

  point({ current, target }: { current: string | null; target: string | null }): void {
    const before = this.read();
    if (before.current === current && before.target === target) return;
    this.#write({ ...before, current, target }, {});
  }

  /** The disk on which all this was written, of which the disk it is on now is a copy; undefined where it is that one. */
  copiedFrom(): string | undefined {
    const { disk } = this.#index();
    return disk === null || this.#disk === null || disk === this.#disk ? undefined : disk;
  }

  /** Forgets everything, be it damaged or not. */
  clear(): void {
    this.#commit(emptyIndex(this.#disk));
    this.#note('everything erased');
  }

  /** Removes what the index does not name. Throws where the index is damaged: all of it may be wanted then. */
  tidy(): void {
    if (!this.#host.exists(this.#clusters)) return;
    const { folders } = this.#index();
    for (const name of this.#host.list(this.#clusters)) {
      const path = `${this.#clusters}/${name}`;
      if (path === this.#indexFile) continue;
      const folder = folders.get(name);
      if (folder === undefined) removeTree(this.#host, path);
      else if (this.#host.exists(path))
        for (const each of this.#host.list(path))
          if (each !== String(folder)) removeTree(this.#host, `${path}/${each}`);
    }
  }

  #write(content: LocalContent, changed: { define?: Definition; erase?: Definition }): void {
    const faults = contentFaults(content);
    if (faults.length > 0) throw new LocalRefusedError(`local store not written: ${faults.join('; ')}`);
    const { folders, disk } = this.#index();
    const { define, erase } = changed;
    if (!this.#host.exists(this.#indexFile)) this.#commit(emptyIndex(this.#disk));
    if (define !== undefined) {
      const { id } = define.cluster;
      const folder = (folders.get(id) ?? 0) + 1;
      this.#store(define, folder);
      folders.set(id, folder);
    }
    if (erase !== undefined) folders.delete(erase.cluster.id);
    const { current, target } = content;
    this.#commit({ folders, current, target, disk: this.#disk ?? disk });
    for (const [what, each] of Object.entries(changed))
      this.#note(
        `${what} ${each.cluster.name} ${each.cluster.id}: node ${each.number} ${each.name} ${each.id}`,
      );
    this.#note(`current ${current ?? '-'}, target ${target ?? '-'}`);
  }

  /** A folder that nothing names yet, durable with those above it. */
  #store(definition: Definition, folder: number): void {
    const host = this.#host;
    const cluster = `${this.#clusters}/${definition.cluster.id}`;
    const path = `${cluster}/${folder}`;
    // Of a writer that ended before it was named.
    removeTree(host, path);
    host.makeDirectory(path);
    const files = encodeDefinition(definition);
    for (const [name, text] of Object.entries(files)) this.#replace(`${path}/${name}`, text);
    this.#replace(`${path}/sums`, sumsOf(files));
    for (const above of [cluster, this.#clusters, this.#state, `${this.#state}/..`])
      host.syncDirectory(above);
  }

  #commit(index: Index): void {
    this.#host.makeDirectory(this.#clusters);
    const clusters = [...index.folders].map(([id, folder]) => ({ id, folder }));
    const { current, target, disk } = index;
    const written = { clusters, current, target, ...(disk === null ? {} : { disk }) };
    this.#replace(this.#indexFile, `${JSON.stringify(written, null, 2)}\n`);
    for (const above of [this.#state, `${this.#state}/..`]) this.#host.syncDirectory(above);
    this.tidy();
  }

  #replace(path: string, text: string): void {
    this.#host.replaceFile(path, new TextEncoder().encode(text), PRIVATE);
  }

  /** An empty one where nothing was ever defined. */
  #index(): Index {
    const path = this.#indexFile;
    if (!this.#host.exists(path)) {
      if (this.#host.exists(this.#clusters) && this.#host.list(this.#clusters).some(isUuid))
        throw damaged(path, 'it is not there, and definitions are');
      return emptyIndex(null);
    }
    const found = parseIndex(readText(this.#host, path));
    if (found === undefined) throw damaged(path, 'it is no index of clusters');
    return found;
  }

  #definition(id: string, folder: number): Definition {
    const path = `${this.#clusters}/${id}/${folder}`;
    const file = (name: string) => {
      if (!this.#host.exists(`${path}/${name}`)) throw damaged(`${path}/${name}`, 'it is not there');
      return readText(this.#host, `${path}/${name}`);
    };
    const sums = new Map(
      file('sums')
        .split('\n')
        .map((line) => [line.slice(10), line.slice(0, 8)] as const),
    );
    const sound = (name: string) => {
      const text = file(name);
      if (sums.get(name) !== sumOf(text)) throw damaged(`${path}/${name}`, 'its CRC-32 is not that in sums');
      return text;
    };
    const found = decodeDefinition(sound);
    if ('why' in found) throw damaged(`${path}/${found.file}`, found.why);
    if (found.cluster.id !== id)
      throw damaged(`${path}/cluster.json`, `it is of cluster ${found.cluster.id}`);
    return found;
  }

  /** For people: that it cannot be written undoes nothing. */
  #note(what: string): void {
    const path = `${this.#state}/log/local.log`;
    try {
      this.#host.makeDirectory(`${this.#state}/log`);
      const before = this.#host.exists(path) ? readText(this.#host, path).split('\n').slice(0, -1) : [];
      const line = `${this.#host.uptime().toFixed(3)} ${what}`;
      this.#replace(path, `${[...before.slice(1 - LOG_LINES), line].join('\n')}\n`);
    } catch (error) {
      this.#host.print(`bootwright: ${path}: ${wordsOf(error)}`);
    }
  }
}

/** Undefined where `text` is no index. */
function parseIndex(text: string): Index | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { clusters, current, target, disk = null } = (value ?? {}) as Record<string, unknown>;
  if (!Array.isArray(clusters) || !isPointer(current) || !isPointer(target)) return undefined;
  if (!isPointer(disk)) return undefined;
  const folders = new Map<string, number>();
  for (const each of clusters) {
    const { id, folder } = (each ?? {}) as Record<string, unknown>;
    if (typeof id !== 'string' || !isUuid(id) || folders.has(id)) return undefined;
    if (typeof folder !== 'number' || !Number.isSafeInteger(folder) || folder < 1) return undefined;
    folders.set(id, folder);
  }
  return { folders, current, target, disk };
}

/** A name, or that there is none. */
function isPointer(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

function damaged(path: string, why: string): LocalStoreError {
  return new LocalStoreError(`${path} is damaged: ${why}`);
}

function sumsOf(files: Record<string, string>): string {
  return Object.entries(files)
    .map(([name, text]) => `${sumOf(text)}  ${name}\n`)
    .join('');
}

function sumOf(text: string): string {
  return crc32(new TextEncoder().encode(text)).toString(16).padStart(8, '0');
}

/** Follows no symbolic link: what is not an empty folder is listed only where it cannot be removed as it is. */
function removeTree(host: Host, path: string): void {
  try {
    host.remove(path);
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'ENOTEMPTY') throw error;
    for (const name of host.list(path)) removeTree(host, `${path}/${name}`);
    host.remove(path);
  }
}
