/** One boot image as text for people. Pure. */
import { type BootImage, filesOf } from '../images/image.ts';
import { bytes, fields } from './table.ts';

/** One image for people. */
export function showImage(image: BootImage): string {
  const files = filesOf(image).map(
    ([file, { bytes: size, sha256 }]) => [file, `${bytes(size)}, sha256 ${sha256}`] as const,
  );
  return fields([
    ['name', image.name],
    ['kind', image.kind],
    ['arch', image.arch],
    ['arguments', image.kind === 'nbi' ? 'part of boot.nbi' : image.args],
    ...files,
    ['added', image.added],
  ]);
}
