/** Reads what a boot is about to read of a base image, so that it is in the page cache by then. */
import { open } from 'node:fs/promises';
import { BLOCK_SIZE, type Run } from './trace.ts';

/** One read at a time of at most so much: other servers of the process share its thread pool. */
const STRETCH = 64 * BLOCK_SIZE;

/** Resolves with the bytes read: all of the runs, or fewer where `signal` was aborted. Rejects where it cannot read. */
export async function warm(image: string, runs: readonly Run[], signal: AbortSignal): Promise<number> {
  const file = await open(image, 'r');
  const buffer = Buffer.alloc(STRETCH);
  let total = 0;
  try {
    for (const { block, count } of runs) {
      const end = (block + count) * BLOCK_SIZE;
      for (let at = block * BLOCK_SIZE; at < end; at += STRETCH) {
        if (signal.aborted) return total;
        total += (await file.read(buffer, 0, Math.min(STRETCH, end - at), at)).bytesRead;
      }
    }
    return total;
  } finally {
    await file.close();
  }
}
