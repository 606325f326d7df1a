/** Tagged images of what is in the boot table. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelError } from '../bzimage.ts';
import { type BootImage, ImageError } from '../image.ts';
import type { BootTable } from '../table.ts';
import { linuxNbi } from './linux.ts';

/**
 * Adds the tagged image `name`, which boots kernel and initrd of `from` with `args`, or with that image's own arguments.
 * Throws ImageError where `from` has no PC kernel, and as BootTable.add does.
 */
export async function addLinuxNbi(
  table: BootTable,
  from: BootImage,
  { name, args = from.args }: { name: string; args?: string },
): Promise<BootImage> {
  if (from.kind !== 'linux' || from.arch !== 'amd64')
    throw new ImageError(
      `image ${from.name} is of the kind ${from.kind} for ${from.arch}: a tagged image is made of a Linux kernel for amd64`,
    );
  const work = await mkdtemp(join(tmpdir(), 'imager-nbi-'));
  try {
    const kernel = await readFile(table.path(from.name, 'kernel'));
    const initrd = await readFile(table.path(from.name, 'initrd'));
    const nbi = join(work, 'boot.nbi');
    await writeFile(nbi, linuxNbi({ kernel, initrd, args }));
    return await table.add({ name, nbi });
  } catch (error) {
    if (error instanceof KernelError) throw new ImageError(`image ${from.name}: ${error.message}`);
    throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
