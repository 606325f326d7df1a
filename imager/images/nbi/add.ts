/** Tagged images of what is in the boot table. */
import { KernelError } from '../bzimage.ts';
import { readHead } from '../copy.ts';
import { type BootImage, ImageError } from '../image.ts';
import type { BootTable } from '../table.ts';
import { linuxNbi } from './linux.ts';

/**
 * Adds the tagged image `name`, which boots kernel and initrd of `from` with `args`, or with that image's own arguments.
 * Throws ImageError where `from` has no PC kernel or is damaged, and as BootTable.add does.
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
  const pieceOf = (file: 'kernel' | 'initrd', start: number) => ({
    what: `${file} of image ${from.name}`,
    path: table.path(from.name, file),
    from: start,
    sha256: from.files[file].sha256,
  });
  try {
    const kernel = await readHead(table.path(from.name, 'kernel'));
    const made = linuxNbi({ kernel, initrd: from.files.initrd, args });
    const nbi = [made.head, pieceOf('kernel', made.kernelFrom), pieceOf('initrd', 0)];
    return await table.add({ name, nbi });
  } catch (error) {
    if (error instanceof KernelError) throw new ImageError(`image ${from.name}: ${error.message}`);
    throw error;
  }
}
