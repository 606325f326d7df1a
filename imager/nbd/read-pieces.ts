/** The data of a structured reply, from a disk. */
import { type Disk, DONE } from '../disks/disk.ts';
import { DATA_CHUNK_SIZE, type Piece } from './chunks.ts';

/** What failed, and from which byte of the disk on. */
export interface Failed {
  error: unknown;
  offset: number;
}

/**
 * Reads the data of a reply's pieces, and calls `done` once no read may still write to `reply`: before it returns where
 * the disk answers at once.
 */
export function readPieces(
  disk: Disk,
  reply: Buffer,
  pieces: readonly Piece[],
  done: (failed: Failed | undefined) => void,
): void {
  let failed: Failed | undefined;
  const readings: Promise<void>[] = [];
  for (const { hole, at, offset, length } of pieces) {
    if (hole) continue;
    const start = at + DATA_CHUNK_SIZE;
    const reading = disk.read(reply.subarray(start, start + length), offset);
    if (reading === DONE) continue;
    readings.push(
      reading.catch((error: unknown) => {
        failed ??= { error, offset };
      }),
    );
  }
  if (readings.length === 0) done(undefined);
  else void Promise.all(readings).then(() => done(failed));
}
