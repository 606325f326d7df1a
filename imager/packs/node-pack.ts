/**
 * The pack a node is sent: the blocks its base's pack has, as they are on the node's own disk. Blocks the node wrote
 * itself are read from the disk, the others from the base's pack in one go.
 */
import { crc32 } from 'node:zlib';
import type { Disk } from '../disks/disk.ts';
import type { BootFile } from '../images/boot-files.ts';
import { ownRuns } from './attachment.ts';
import { encodeIndex, PackRuns } from './pack.ts';
import type { PackFile } from './pack-file.ts';
import { BLOCK_SIZE } from './trace.ts';

/** Blocks of a node's own in its pack, which are in memory while it is sent. Further ones are left out: 8 MiB. */
const MAX_OWN_BLOCKS = 2048;
const ZEROES = Buffer.alloc(BLOCK_SIZE);

/** A piece of the content: in memory, or `length` bytes from `offset` of the base's pack's content. */
type Piece = { bytes: Buffer } | { offset: number; length: number };

/** A pack with nothing in it, of a disk of `size` bytes over the base with this digest. */
export function emptyPack(size: number, digest: string): Buffer {
  return encodeIndex({ size, digest, trace: 0, runs: [], checksums: new Uint32Array(0) });
}

/**
 * Makes the pack of `disk` from that of its base. `still` tells whether the disk is as it was at this call: where it is
 * not, reading the pack fails, for the reader would have old content. The pack is closed with the file.
 */
export async function nodePack(pack: PackFile, disk: Disk, still: () => boolean): Promise<BootFile> {
  const { size } = disk;
  const { runs, checksums, pieces } = await contentOf(pack, disk);
  const { digest, trace } = pack.index;
  const head = encodeIndex({ size, digest, trace, runs, checksums: Uint32Array.from(checksums) });
  const stretches = placed([{ bytes: head }, ...pieces]);
  return {
    size: head.length + checksums.length * BLOCK_SIZE,
    version: `${digest}-${crc32(head).toString(16)}`,
    async read(target, offset) {
      if (!still()) throw new Error('the disk was written to while its pack was sent');
      return fill(pack, stretches, target, offset);
    },
    close: () => pack.close(),
  };
}

async function contentOf(pack: PackFile, disk: Disk) {
  const runs = new PackRuns();
  const checksums: number[] = [];
  const pieces: Piece[] = [];
  /** Blocks with content of the base's pack that come before the present run. */
  let before = 0;
  let own = 0;
  for (const run of pack.index.runs) {
    for (const { block, count, dirty } of ownRuns(disk, run.block, run.block + run.count)) {
      if (!dirty) {
        runs.add(block, count, run.zero);
        if (run.zero) continue;
        const first = before + block - run.block;
        for (let i = first; i < first + count; i++) checksums.push(pack.index.checksums[i]!);
        append(pieces, first * BLOCK_SIZE, count * BLOCK_SIZE);
      } else if (own + count <= MAX_OWN_BLOCKS) {
        own += count;
        for (const content of await readBlocks(disk, block, count)) {
          const zero = content.bytes.equals(ZEROES);
          runs.add(content.block, 1, zero);
          if (zero) continue;
          checksums.push(crc32(content.bytes));
          pieces.push({ bytes: content.bytes });
        }
      }
    }
    if (!run.zero) before += run.count;
  }
  return { runs: runs.runs, checksums, pieces };
}

async function readBlocks(disk: Disk, block: number, count: number) {
  const bytes = Buffer.alloc(count * BLOCK_SIZE);
  const at = block * BLOCK_SIZE;
  await disk.read(bytes.subarray(0, Math.min(bytes.length, disk.size - at)), at);
  return Array.from({ length: count }, (_, i) => ({
    block: block + i,
    bytes: bytes.subarray(i * BLOCK_SIZE, (i + 1) * BLOCK_SIZE),
  }));
}

/** Pieces of the base's pack that follow each other are one. */
function append(pieces: Piece[], offset: number, length: number): void {
  const last = pieces.at(-1);
  if (last !== undefined && 'offset' in last && last.offset + last.length === offset) last.length += length;
  else pieces.push({ offset, length });
}

function placed(pieces: readonly Piece[]): { at: number; end: number; piece: Piece }[] {
  let end = 0;
  return pieces.map((piece) => {
    const at = end;
    end += 'bytes' in piece ? piece.bytes.length : piece.length;
    return { at, end, piece };
  });
}

/** Reads up to the length of `target` from `offset` of all pieces; gives the count. */
async function fill(
  pack: PackFile,
  stretches: ReturnType<typeof placed>,
  target: Uint8Array,
  offset: number,
): Promise<number> {
  let done = 0;
  for (const { at, end, piece } of stretches) {
    const from = offset + done;
    if (end <= from) continue;
    if (done === target.length) break;
    const part = target.subarray(done, done + Math.min(target.length - done, end - from));
    if ('bytes' in piece) part.set(piece.bytes.subarray(from - at, from - at + part.length));
    else await pack.content(part, piece.offset + from - at);
    done += part.length;
  }
  return done;
}
