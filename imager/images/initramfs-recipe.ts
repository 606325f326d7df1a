/** An initramfs from Debian's kernel or from a folder of modules: what is read, checked and put together. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import { ENROLMENT_KEY_FILE, parseEnrolmentKey } from '../../agent/protocol/enrolment.ts';
import { type Compression, compress } from './compression.ts';
import { type CpioEntry, checkEntries, writeCpio } from './cpio.ts';
import { DebianPackages, type Progress } from './debian.ts';
import { checkUnpacks, debianKernel } from './debian-kernel.ts';
import { ElfError, elfArchitecture, hasInterpreter } from './elf.ts';
import { type Architecture, ImageError } from './image.ts';
import { type AddedFile, initramfsEntries } from './initramfs.ts';
import { type KernelModule, moduleName, readModules } from './modules.ts';

export interface InitramfsOptions {
  arch: Architecture;
  /** Path of the static agent binary; or what builds it, which is called once all else is found to be good. */
  agent: string | (() => Promise<string>);
  /** A lib/modules/VERSION; where there is none, that of Debian's kernel. */
  modulesDir?: string;
  /** What to load, in place of what the agent needs on virtual machines. */
  modules?: readonly string[];
  /** What to load besides. */
  withModules?: readonly string[];
  /** Path of a static busybox, or Debian's; none where this is not given. */
  busybox?: string | { debian: true };
  /** Files of this machine, and their places in the archive. */
  add?: readonly { file: string; path: string }[];
  /** File with the operator's key of enrolment (`agents.enrolmentKey`), for nodes without a definition. */
  enrolmentKey?: string;
  compression: Compression;
  /** What is downloaded is kept there: needed for what is Debian's, asked for then alone. */
  cacheDir: () => string;
  progress?: Progress;
}

export interface BuiltInitramfs {
  /** Compressed. */
  bytes: Uint8Array;
  unpackedBytes: number;
  kernelVersion: string;
  /** In load order. */
  modules: readonly KernelModule[];
  /** What was to be loaded and needs no loading. */
  builtIn: readonly string[];
  entries: readonly CpioEntry[];
}

/** Network, disks, and the boot pointer's device or variables. ext4 and its CRC-32C are named for kernels that do not have them built in. */
const DRIVERS = ['virtio_net', 'virtio_blk', 'efivarfs', 'nbd', 'ext4', 'crc32c_generic'];

/** How virtio devices are reached: PCI everywhere, and the memory-mapped slots of QEMU's arm64 `virt` machine. */
const BUSES: Record<Architecture, string[]> = {
  arm64: ['virtio_mmio', 'virtio_pci'],
  amd64: ['virtio_pci'],
};

/** The modules that the agent needs on virtual machines. */
function defaultModules(arch: Architecture): string[] {
  return [...BUSES[arch], ...DRIVERS];
}

/** What comes of one option set is the same each time, to the bit. Rejects with words for the person who asked. */
export async function buildInitramfs(options: InitramfsOptions): Promise<BuiltInitramfs> {
  const { arch, agent, busybox, compression, progress = () => {} } = options;
  // What was named comes first: it is read in no time, and what comes after it may take minutes.
  const added = await addedFiles(options);
  const ownBusybox = typeof busybox === 'string' ? await program('busybox', busybox, arch) : undefined;
  const readAgent = async (): Promise<Uint8Array> =>
    program('the agent', typeof agent === 'string' ? agent : await agent(), arch);
  const ownAgent = typeof agent === 'string' ? await readAgent() : undefined;
  const packages = (): DebianPackages => new DebianPackages({ arch, cacheDir: options.cacheDir(), progress });
  const folder = options.modulesDir ?? (await debianModules(packages(), compression));
  const kernelVersion = await releaseOf(folder);
  const named = [...(options.modules ?? defaultModules(arch)), ...(options.withModules ?? [])];
  const wanted = named.map(moduleName);
  const modules = await readModules(folder, wanted);
  for (const { name, content } of modules) checkArchitecture(`kernel module ${name}`, content, arch);
  const contents = {
    ...{ kernelVersion, modules, added },
    ...(busybox === undefined ? {} : { busybox: ownBusybox ?? (await debianBusybox(packages())) }),
  };
  checkEntries(initramfsEntries({ ...contents, agent: new Uint8Array() }));
  const entries = initramfsEntries({ ...contents, agent: ownAgent ?? (await readAgent()) });
  const whole = writeCpio(entries);
  if (compression !== 'none') progress(`${arch}: compressing ${whole.length} bytes with ${compression}`);
  const bytes = await compress(whole, compression);
  const loaded = new Set(modules.map(({ name }) => name));
  const builtIn = wanted.filter((name) => !loaded.has(name));
  return { bytes, unpackedBytes: whole.length, kernelVersion, modules, builtIn, entries };
}

/** The lib/modules/VERSION of Debian's kernel, which must be able to unpack what is made. */
async function debianModules(packages: DebianPackages, compression: Compression): Promise<string> {
  const kernel = await debianKernel(packages);
  await checkUnpacks(kernel, compression);
  return kernel.modules;
}

async function releaseOf(folder: string): Promise<string> {
  const name = basename(await realpath(folder));
  if (!/^\d[\w.+~-]*$/.test(name))
    throw new ImageError(`${folder} is not called as a kernel release is: give a lib/modules/VERSION`);
  return name;
}

async function debianBusybox(packages: DebianPackages): Promise<Uint8Array> {
  const [found] = await packages.fetch(['busybox-static']);
  return program('busybox', `${await packages.unpack(found!)}/bin/busybox`, packages.arch);
}

async function program(what: string, file: string, arch: Architecture): Promise<Uint8Array> {
  const content = await readFile(file);
  checkArchitecture(what, content, arch);
  if (asked(what, () => hasInterpreter(content)))
    throw new ImageError(
      `${what} is not static: it wants a program loader, which the initramfs does not have`,
    );
  return content;
}

function checkArchitecture(what: string, content: Uint8Array, arch: Architecture): void {
  const found = asked(what, () => elfArchitecture(content));
  if (found !== arch)
    throw new ImageError(`${what} is for ${found ?? 'another architecture'}, not for ${arch}`);
}

/** What an ELF file says. Throws ImageError, with `what` for its name, where it is none. */
function asked<T>(what: string, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof ElfError) throw new ImageError(`${what}: ${error.message}`);
    throw error;
  }
}

async function addedFiles({ add = [], enrolmentKey }: InitramfsOptions): Promise<AddedFile[]> {
  const files = await Promise.all(add.map(addedFile));
  return enrolmentKey === undefined ? files : [...files, await keyOf(enrolmentKey)];
}

async function addedFile({ file, path }: { file: string; path: string }): Promise<AddedFile> {
  const found = await stat(file);
  if (!found.isFile()) throw new ImageError(`${file} is no plain file`);
  return {
    path: path.replace(/^\//, ''),
    content: await readFile(file),
    mode: (found.mode & 0o100) !== 0 ? 0o755 : 0o644,
  };
}

/** Where the agent looks for it. The error says nothing of what is in the file. */
async function keyOf(file: string): Promise<AddedFile> {
  const content = await readFile(file);
  if (parseEnrolmentKey(content.toString('latin1')) === undefined)
    throw new ImageError(`${file} holds no key of 64 hexadecimal digits (openssl rand -hex 32)`);
  return { path: relative('/', ENROLMENT_KEY_FILE), content, mode: 0o600 };
}
