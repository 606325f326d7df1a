/** The data of a structured reply, from a disk. */
import type { Disk } from '../disks/disk.ts';
import { DATA_CHUNK_SIZE, type Piece } from './chunks.ts';

/** Reads the data of a reply's pieces; gives a failure, where there is one, once no read may still write to `reply`. */
export async function readPieces(
  disk: Disk,
  reply: Buffer,
  pieces: readonly Piece[],
): Promise<{ error: unknown; offset: number } | undefined> {
  let failed: { error: unknown; offset: number } | undefined;
  const read = async ({ at, offset, length }: Piece): Promise<void> => {
    const start = at + DATA_CHUNK_SIZE;
    try {
      await disk.read(reply.subarray(start, start + length), offset);
    } catch (error) {
      failed ??= { error, offset };
    }
  };
  await Promise.all(pieces.filter(({ hole }) => !hole).map(read));
  return failed;
}
