/**
 * The base disk nodes run from: a minimal root file system made of real Debian packages. Programs bring the libraries
 * they want and no others; busybox is init and shell; lighttpd answers on port 80 (with its libraries it is a third of
 * nginx with its own, which has a node load a TLS library it does not use).
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { replaceDurably } from '../storage/durable.ts';
import { command } from './command.ts';
import { type DebianPackage, DebianPackages, type Progress } from './debian.ts';
import { neededLibraries } from './elf.ts';
import { type DiskEntry, type Ext4Options, fingerprint, writeExt4 } from './ext4.ts';
import type { Architecture } from './image.ts';
import { fixedEntries, inOrder } from './root-files.ts';

export interface BaseDisk {
  /** Path of the raw image: one ext4 file system, no partition table. */
  file: string;
  bytes: number;
  /** Package to version. */
  packages: Record<string, string>;
}

const PACKAGES = [
  'base-files',
  'busybox-static',
  'libc6',
  'libnettle8',
  'libpcre2-8-0',
  'libxxhash0',
  'lighttpd',
];
const DISK_BYTES = 256 * 1024 * 1024;

interface Platform {
  /** Folder of libraries, Debian's multiarch triplet. */
  triplet: string;
  /** The program loader: where programs look for it (their PT_INTERP), and what it is called in libc6. */
  loader: { path: string; name: string };
  /** Identity of the file system: every base of an architecture has the same. */
  uuid: string;
}

const PLATFORMS: Record<Architecture, Platform> = {
  arm64: {
    triplet: 'aarch64-linux-gnu',
    loader: { path: 'usr/lib/ld-linux-aarch64.so.1', name: 'ld-linux-aarch64.so.1' },
    uuid: '6f2a4f5c-94d4-4c61-9d9e-0b0075a64b01',
  },
  amd64: {
    triplet: 'x86_64-linux-gnu',
    loader: { path: 'usr/lib64/ld-linux-x86-64.so.2', name: 'ld-linux-x86-64.so.2' },
    uuid: '6f2a4f5c-94d4-4c61-9d9e-0b0075a64b02',
  },
};

/** An unpacked package. */
interface Unpacked extends DebianPackage {
  folder: string;
}

/**
 * Makes `CACHE/base-ARCH.img` where it is missing or out of date. Downloads what is not cached; the same packages
 * give the same bytes.
 */
export async function buildBaseDisk(options: {
  arch: Architecture;
  cacheDir: string;
  progress?: Progress;
}): Promise<BaseDisk> {
  const { arch, cacheDir, progress = () => {} } = options;
  const source = new DebianPackages({ arch, cacheDir, progress });
  const packages: Unpacked[] = [];
  for (const found of await source.fetch(PACKAGES))
    packages.push({ ...found, folder: await source.unpack(found) });
  const entries = inOrder([
    ...fixedEntries(),
    ...(await programs(packages, PLATFORMS[arch])),
    ...(await applets(cacheDir, progress)),
    ...(await notices(packages)),
  ]);

  const name = `base-${arch}.img`;
  const file = join(cacheDir, name);
  const layout: Ext4Options = { bytes: DISK_BYTES, label: 'bootwright', uuid: PLATFORMS[arch].uuid };
  const wanted = fingerprint(entries, layout);
  const made = await readFile(`${file}.fingerprint`, 'utf8').catch(() => '');
  if (made !== wanted || !existsSync(file)) {
    progress(`${arch}: making the base disk`);
    await mkdir(cacheDir, { recursive: true });
    await writeExt4(file, entries, layout);
    replaceDurably(cacheDir, `${name}.fingerprint`, wanted);
  }
  const versions = Object.fromEntries(packages.map(({ name, version }) => [name, version]));
  return { file, bytes: DISK_BYTES, packages: versions };
}

/** The programs with the loader and every library they want, found in the packages or else refused. */
async function programs(packages: readonly Unpacked[], platform: Platform): Promise<DiskEntry[]> {
  const libraries = await librariesOf(packages, platform);
  const entries: DiskEntry[] = [
    await program(packages, 'busybox-static', 'bin/busybox', 'usr/bin/busybox'),
    await program(packages, 'lighttpd', 'usr/sbin/lighttpd', 'usr/sbin/lighttpd'),
    await program(
      packages,
      'lighttpd',
      'usr/lib/lighttpd/mod_accesslog.so',
      'usr/lib/lighttpd/mod_accesslog.so',
    ),
  ];
  const placed = new Set<string>();
  const place = async (name: string, wantedBy: string): Promise<void> => {
    if (placed.has(name)) return;
    placed.add(name);
    const path = libraries.get(name);
    if (path === undefined) throw new Error(`base disk: no package brings ${name}, which ${wantedBy} wants`);
    const content = await readFile(path);
    entries.push({ path: `usr/lib/${platform.triplet}/${name}`, type: 'file', content, mode: 0o755 });
    for (const needed of neededLibraries(content)) await place(needed, name);
  };
  await place(platform.loader.name, 'every program');
  for (const entry of [...entries])
    if (entry.type === 'file')
      for (const needed of neededLibraries(entry.content)) await place(needed, entry.path);
  const target = `/usr/lib/${platform.triplet}/${platform.loader.name}`;
  return [...entries, { path: platform.loader.path, type: 'symlink', target }];
}

async function program(
  packages: readonly Unpacked[],
  name: string,
  from: string,
  to: string,
): Promise<DiskEntry> {
  return {
    path: to,
    type: 'file',
    content: await readFile(join(folderOf(packages, name), from)),
    mode: 0o755,
  };
}

/** Library name to file. Links are followed: a library goes on the disk under the name it is wanted by. */
async function librariesOf(packages: readonly Unpacked[], platform: Platform): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { folder } of packages) {
    for (const place of ['lib', 'usr/lib']) {
      const path = join(folder, place, platform.triplet);
      for (const name of await readdir(path).catch(() => []))
        if (/\.so(\.|$)/.test(name)) found.set(basename(name), await realpath(join(path, name)));
    }
  }
  return found;
}

/** A link to busybox for each of its applets, as this machine's copy of the same busybox lists them. */
async function applets(cacheDir: string, progress: Progress): Promise<DiskEntry[]> {
  const native = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const source = new DebianPackages({ arch: native, cacheDir, progress });
  const [busybox] = await source.fetch(['busybox-static']);
  const list = String(await command([join(await source.unpack(busybox!), 'bin/busybox'), '--list-full']));
  return list
    .split('\n')
    .filter((path) => path.includes('/') && basename(path) !== 'busybox')
    .map((path) => ({
      path: path.replace(/^s?bin\//, 'usr/$&'),
      type: 'symlink',
      target: '/usr/bin/busybox',
    }));
}

/** Who made what is on the disk, and under which terms. */
async function notices(packages: readonly Unpacked[]): Promise<DiskEntry[]> {
  const versions = packages.map(({ name, version }) => `${name} ${version}\n`).join('');
  const entries: DiskEntry[] = [
    { path: 'usr/share/bootwright/packages', type: 'file', content: Buffer.from(versions) },
    await program(packages, 'base-files', 'etc/debian_version', 'etc/debian_version'),
    await program(packages, 'base-files', 'usr/lib/os-release', 'usr/lib/os-release'),
    { path: 'etc/os-release', type: 'symlink', target: '../usr/lib/os-release' },
  ];
  for (const { name, folder } of packages) {
    const path = `usr/share/doc/${name}/copyright`;
    entries.push({ path, type: 'file', content: await readFile(join(folder, path)) });
  }
  return entries.map((entry) => (entry.type === 'file' ? { ...entry, mode: 0o644 } : entry));
}

function folderOf(packages: readonly Unpacked[], name: string): string {
  return packages.find((candidate) => candidate.name === name)!.folder;
}
