/**
 * Debian packages for any architecture, downloaded with the machine's own apt (its mirror, proxy and keys) but with
 * package lists, status and cache of its own, so that neither the machine's packages nor broken sources matter.
 *
 *     CACHE/debian/ARCH/apt/           lists and configuration
 *     CACHE/debian/ARCH/NAME.json      which version of a package is cached
 *     CACHE/debian/ARCH/*.deb          as downloaded
 *     CACHE/debian/ARCH/unpacked/      one folder a package
 *
 * What is cached is used as it is, without network: remove the folder to get newer versions.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { replaceDurably, syncPath } from '../storage/durable.ts';
import { debianSources, fieldsOf } from './apt-sources.ts';
import { command } from './command.ts';
import type { Architecture } from './image.ts';
import { withWorkFolder } from './work-folder.ts';

export type Progress = (line: string) => void;

export interface DebianPackage {
  name: string;
  version: string;
  /** As in the package's control file: alternatives and versions included. */
  depends: string;
  /** Path of the .deb. */
  file: string;
}

/** Lists younger than this are not fetched again. */
const LISTS_FRESH_MS = 24 * 3600 * 1000;
const UPDATE_TRIES = 3;

export class DebianPackages {
  readonly arch: Architecture;
  readonly #cacheDir: string;
  readonly #dir: string;
  readonly #progress: Progress;

  constructor(options: { arch: Architecture; cacheDir: string; progress?: Progress }) {
    this.arch = options.arch;
    this.#cacheDir = resolve(options.cacheDir);
    this.#dir = join(this.#cacheDir, 'debian', options.arch);
    this.#progress = options.progress ?? (() => {});
  }

  /** The named packages, in that order, downloaded where they are not cached. Rejects with what apt says. */
  async fetch(names: readonly string[]): Promise<DebianPackage[]> {
    const cached = new Map<string, DebianPackage>();
    for (const name of names) {
      const found = await this.#cached(name);
      if (found !== undefined) cached.set(name, found);
    }
    const missing = names.filter((name) => !cached.has(name));
    if (missing.length > 0) for (const found of await this.#download(missing)) cached.set(found.name, found);
    return names.map((name) => cached.get(name)!);
  }

  /** The package's files, unpacked: the path of a folder others share, to be read and not written. */
  async unpack(found: DebianPackage): Promise<string> {
    const folder = join(this.#dir, 'unpacked', `${found.name}_${found.version.replaceAll(':', '%3a')}`);
    if (existsSync(folder)) return folder;
    await mkdir(join(this.#dir, 'unpacked'), { recursive: true });
    await withWorkFolder(this.#cacheDir, async (work) => {
      const unpacked = join(work, 'unpacked');
      await command(['dpkg-deb', '-x', found.file, unpacked]);
      // What has its name is never looked at again: after a power cut it must not be a folder of empty files.
      await command(['sync', '--file-system', unpacked]);
      await moveUnlessThere(unpacked, folder);
    });
    return folder;
  }

  async #cached(name: string): Promise<DebianPackage | undefined> {
    const text = await readFile(join(this.#dir, `${name}.json`), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    const record = JSON.parse(text) as Omit<DebianPackage, 'file'> & { file: string };
    const file = join(this.#dir, record.file);
    return existsSync(file) ? { ...record, file } : undefined;
  }

  async #download(names: readonly string[]): Promise<DebianPackage[]> {
    await this.#prepareApt();
    await this.#update(LISTS_FRESH_MS);
    try {
      return await this.#downloadListed(names);
    } catch (error) {
      // Mirrors drop old versions: lists of this morning can name files that are gone.
      this.#progress(`${this.arch}: trying again with fresh package lists`);
      await this.#update(0);
      return this.#downloadListed(names).catch((second: Error) => {
        throw new Error(second.message, { cause: error });
      });
    }
  }

  async #downloadListed(names: readonly string[]): Promise<DebianPackage[]> {
    const shown = String(await this.#apt(['apt-cache', 'show', '--no-all-versions', ...names]));
    const stanzas = shown.split(/\n\s*\n/).map(fieldsOf);
    return withWorkFolder(this.#cacheDir, async (work) => {
      const wanted = names.map((name) => {
        const fields = stanzas.find((stanza) => stanza.get('package')?.trim() === name);
        if (fields === undefined) throw new Error(`Debian has no package ${name} for ${this.arch}`);
        return {
          name,
          version: fields.get('version')!.trim(),
          depends: (fields.get('depends') ?? '').trim(),
        };
      });
      this.#progress(`${this.arch}: downloading ${names.join(', ')}`);
      await this.#apt(['apt-get', '-q', 'download', ...wanted.map((p) => `${p.name}=${p.version}`)], work);
      const files = await readdir(work);
      const result: DebianPackage[] = [];
      for (const entry of wanted) {
        const file = files.find(
          (candidate) => candidate.startsWith(`${entry.name}_`) && candidate.endsWith('.deb'),
        );
        if (file === undefined) throw new Error(`apt-get download left no file for ${entry.name}`);
        syncPath(join(work, file));
        await rename(join(work, file), join(this.#dir, file));
        replaceDurably(this.#dir, `${entry.name}.json`, `${JSON.stringify({ ...entry, file })}\n`);
        result.push({ ...entry, file: join(this.#dir, file) });
      }
      return result;
    });
  }

  /** Fetches the package lists unless they are younger than `freshMs`. */
  async #update(freshMs: number): Promise<void> {
    const marker = join(this.#dir, 'apt', 'updated');
    const updated = (await stat(marker).catch(() => undefined))?.mtimeMs ?? 0;
    if (Date.now() - updated < freshMs) return;
    for (let attempt = 1; ; attempt++) {
      this.#progress(`${this.arch}: fetching Debian's package lists`);
      try {
        await this.#apt(['apt-get', '-q', 'update', '--error-on=any']);
        break;
      } catch (error) {
        if (attempt === UPDATE_TRIES) throw error;
        this.#progress(`${this.arch}: package lists failed, attempt ${attempt} of ${UPDATE_TRIES}`);
      }
    }
    await writeFile(marker, '');
  }

  async #prepareApt(): Promise<void> {
    const apt = join(this.#dir, 'apt');
    for (const folder of ['lists/partial', 'cache/archives/partial', 'etc'])
      await mkdir(join(apt, folder), { recursive: true });
    replaceDurably(apt, 'status', '');
    replaceDurably(join(apt, 'etc'), 'debian.sources', await machineSources());
    replaceDurably(apt, 'apt.conf', aptConfiguration(apt, this.arch));
  }

  /** Runs an apt tool; one at a time a folder: the tool itself has the lock, and whatever ends it gives it back. */
  #apt(argv: readonly string[], cwd = this.#dir): Promise<Buffer> {
    const [tool = '', ...args] = argv;
    const apt = join(this.#dir, 'apt');
    return command(['flock', '--no-fork', join(apt, 'lock'), tool, '-c', join(apt, 'apt.conf'), ...args], {
      cwd,
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    });
  }
}

/** `-c` is read after the machine's own configuration, so that what is cleared here stays cleared. */
function aptConfiguration(apt: string, arch: Architecture): string {
  return `#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "${arch}";
APT::Architectures { "${arch}"; };
APT::Sandbox::User "root";
Acquire::Languages { "none"; };
Acquire::Retries "3";
Dir::State::Lists "${apt}/lists";
Dir::State::status "${apt}/status";
Dir::Cache "${apt}/cache";
Dir::Cache::archives "${apt}/cache/archives";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "${apt}/etc";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
`;
}

async function machineSources(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8');
  const codename = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1];
  if (codename === undefined)
    throw new Error('/etc/os-release has no VERSION_CODENAME: this is no Debian release');
  const parts = await readdir('/etc/apt/sources.list.d').catch(() => []);
  const paths = parts
    .filter((name) => name.endsWith('.list') || name.endsWith('.sources'))
    .map((name) => join('/etc/apt/sources.list.d', name));
  const files: { name: string; text: string }[] = [];
  for (const name of ['/etc/apt/sources.list', ...paths]) {
    const text = await readFile(name, 'utf8').catch(() => undefined);
    if (text !== undefined) files.push({ name, text });
  }
  return debianSources(files, codename);
}

/** Renames a folder into place; where another process was first, its folder stands. */
async function moveUnlessThere(work: string, folder: string): Promise<void> {
  try {
    await rename(work, folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}
