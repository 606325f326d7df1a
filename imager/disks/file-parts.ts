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
      const { place, to } = runOfLeaves(tree, Math.floor(at / BLOCK_SIZE), Math.ceil(end / BLOCK_SIZE));
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

/** The run that begins at a block, as long as it goes on with the base's in the leaves behind. */
function runOfLeaves(tree: MapTree, from: number, limit: number): { place: number; to: number } {
  const run = runAt(tree, from, limit);
  if (run.place !== BASE) return run;
  let { to } = run;
  while (to < limit) {
    const next = runAt(tree, to, limit);
    if (next.place !== BASE) break;
    to = next.to;
  }
  return { place: BASE, to };
}
