/** What of an overlay is in its base's file alone: it needs no checksum, and may be sent from there as it is. */
import { asDiskError } from './block-file.ts';
import type { BaseContent } from './block-reader.ts';
import type { FilePart } from './disk.ts';
import { runAt } from './extents.ts';
import { BASE, BLOCK_SIZE } from './format.ts';
import type { MapTree } from './map-tree.ts';

/** As Disk.fileParts has it. */
export function overlayFileParts(
  tree: MapTree,
  base: BaseContent,
  { offset, length, least }: { offset: number; length: number; least: number },
): FilePart[] {
  const parts: FilePart[] = [];
  if (!base.file.prompt(length)) return parts;
  const end = Math.min(offset + length, base.size);
  try {
    base.intact();
    for (let at = offset; end - at >= least; ) {
      const { place, to } = runAt(tree, Math.floor(at / BLOCK_SIZE), Math.ceil(end / BLOCK_SIZE));
      const stop = Math.min(end, to * BLOCK_SIZE);
      const part = place === BASE && stop - at >= least ? base.file.part(at, stop - at) : undefined;
      if (part !== undefined) parts.push(part);
      at = stop;
    }
    return parts;
  } catch (error) {
    throw asDiskError(error);
  }
}
