/** The kernel of Debian's clouds, unpacked from its package. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Compression, KERNEL_OPTION } from './compression.ts';
import type { DebianPackages } from './debian.ts';
import { ImageError } from './image.ts';

export interface DebianKernel {
  release: string;
  /** Of the package: Debian mends a kernel without a new release. */
  version: string;
  vmlinuz: string;
  /** lib/modules/RELEASE. */
  modules: string;
  /** The kernel's configuration, a path. */
  config: string;
}

/** The kernel behind Debian's metapackage linux-image-cloud-ARCH, downloaded where it is not cached. */
export async function debianKernel(packages: DebianPackages): Promise<DebianKernel> {
  const [meta] = await packages.fetch([`linux-image-cloud-${packages.arch}`]);
  const name = /linux-image-[a-z0-9.+-]+/.exec(meta!.depends)?.[0];
  if (name === undefined) throw new Error(`${meta!.name} depends on no kernel: ${meta!.depends}`);
  const [found] = await packages.fetch([name]);
  const folder = await packages.unpack(found!);
  const release = await onlyEntry(join(folder, 'lib/modules'));
  return {
    release,
    version: found!.version,
    vmlinuz: join(folder, `boot/vmlinuz-${release}`),
    modules: join(folder, 'lib/modules', release),
    config: join(folder, `boot/config-${release}`),
  };
}

/** Rejects with ImageError where the kernel cannot unpack an initramfs that is so compressed. */
export async function checkUnpacks({ config, release }: DebianKernel, how: Compression): Promise<void> {
  if (how === 'none') return;
  const option = KERNEL_OPTION[how];
  if (!(await readFile(config, 'utf8')).split('\n').includes(`${option}=y`))
    throw new ImageError(`the kernel ${release} was built without ${option}: choose another compression`);
}

async function onlyEntry(folder: string): Promise<string> {
  const [name, ...others] = await readdir(folder);
  if (name === undefined || others.length > 0) throw new Error(`${folder} should hold one kernel release`);
  return name;
}
