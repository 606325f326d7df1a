/** What a node boots, made from Debian's own kernel and the agent: kernel, initrd and command line. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { replaceDurably } from '../storage/durable.ts';
import { DebianPackages, type Progress } from './debian.ts';
import { debianKernel } from './debian-kernel.ts';
import type { Architecture } from './image.ts';
import { buildInitramfs, type InitramfsOptions } from './initramfs-recipe.ts';

export interface BootFilesOptions {
  arch: Architecture;
  /** As buildInitramfs() takes it. */
  agent: InitramfsOptions['agent'];
  /** File with the operator's key of enrolment. */
  enrolmentKey?: string;
  /** What is downloaded and compressed is kept here. */
  cacheDir: string;
  /** Where `kernel` and `initrd` are written. */
  outDir: string;
  progress?: Progress;
}

export interface BuiltBootFiles {
  kernel: string;
  initrd: string;
  args: string;
  /** Kernel release and the version of its Debian package. */
  version: string;
}

const CONSOLE: Record<Architecture, string> = { arm64: 'ttyAMA0', amd64: 'ttyS0,115200' };

const compress = promisify(gzip);

/**
 * Downloads what is missing, and writes the files of a boot image for `arch`. Quick and without network where all is
 * cached; the same agent and kernel give the same bytes.
 */
export async function buildBootFiles(options: BootFilesOptions): Promise<BuiltBootFiles> {
  const { arch, cacheDir, outDir, progress = () => {} } = options;
  const packages = new DebianPackages({ arch, cacheDir, progress });
  const { release, version, vmlinuz } = await debianKernel(packages);
  // Not compressed: gzip saves 1.5 MB on the wire and costs the node 50 million instructions, a tenth of a second.
  const initramfs = await buildInitramfs({
    arch,
    agent: options.agent,
    compression: 'none',
    ...(options.enrolmentKey === undefined ? {} : { enrolmentKey: options.enrolmentKey }),
    cacheDir: () => cacheDir,
    progress,
  });

  await mkdir(outDir, { recursive: true });
  const built: BuiltBootFiles = {
    kernel: join(outDir, 'kernel'),
    initrd: join(outDir, 'initrd'),
    args: kernelArguments(arch),
    version: `${release} (${version})`,
  };
  replaceDurably(
    outDir,
    'kernel',
    arch === 'amd64'
      ? await readFile(vmlinuz)
      : await compressedKernel(vmlinuz, version, cacheDir, () => progress(`${arch}: compressing the kernel`)),
  );
  replaceDurably(outDir, 'initrd', initramfs.bytes);
  progress(`${arch}: boot files for kernel ${built.version}, ${initramfs.modules.length} modules`);
  return built;
}

/**
 * A node that shares its processor with others may miss the ticks by which the kernel checks the timer's interrupt, and
 * panics for it: a virtual machine's timer is taken to work, as the kernel itself does under KVM.
 */
const MACHINE_ARGUMENTS: Record<Architecture, string[]> = { arm64: [], amd64: ['no_timer_check'] };

/**
 * The image's part of the command line. Errors stay on the console (levels below 4; warnings are in dmesg). A
 * panicking node starts again, so that the attempts of its boot pointer count down. Without the self-tests of the
 * kernel's ciphers the agent starts 0.36 s earlier on arm64 and 0.22 s on amd64 (one emulated processor).
 */
function kernelArguments(arch: Architecture): string {
  return [
    `console=${CONSOLE[arch]}`,
    'loglevel=4',
    'panic=5',
    'cryptomgr.notests',
    ...MACHINE_ARGUMENTS[arch],
  ].join(' ');
}

/**
 * The kernel at `path`, gzipped, from the cache where it is there. Debian's arm64 kernel is a bare Image
 * (Documentation/arm64/booting.rst): U-Boot's booti unpacks a gzipped one, which is a third of the size on the wire.
 * (The amd64 bzImage unpacks itself.) `version` is the package's: Debian mends a kernel without a new release.
 */
export async function compressedKernel(
  path: string,
  version: string,
  cacheDir: string,
  compressing: () => void,
): Promise<Uint8Array> {
  const kernels = join(cacheDir, 'kernel');
  const name = `${basename(path)}_${version.replaceAll(':', '%3a')}.gz`;
  const cached = join(kernels, name);
  if (existsSync(cached)) return readFile(cached);
  compressing();
  const compressed = await compress(await readFile(path), { level: 9 });
  await mkdir(kernels, { recursive: true });
  replaceDurably(kernels, name, compressed);
  return compressed;
}
