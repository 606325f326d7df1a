/** Gives the space of free places back to the imager's file system. */
import type { BlockFile } from './block-file.ts';
import { BLOCK_SIZE } from './format.ts';
import type { Space } from './space.ts';

/** Shorter runs are left as they are: the next writes go there. */
const LEAST_RUN = 16;
/** Free places that are kept, for writes that shall not have to ask the file system: 4 MiB, or an eighth of what is used. */
const KEPT = 1024;
const KEPT_SHARE = 8;
/** Runs given back with one call of ours, so that no other disk waits long. */
const RUNS_AT_ONCE = 64;

/**
 * Cuts the file off behind its last used place, and punches holes where much is free; `all`: wherever something is. True
 * where there is more to do.
 */
export function tidy(file: BlockFile, space: Space, all: boolean): boolean {
  if (space.scanning) return false;
  const end = space.shrink() * BLOCK_SIZE;
  if (file.size() > end) file.truncate(end);
  if (!all && space.idle <= Math.max(KEPT, space.used / KEPT_SHARE)) return false;
  let runs = 0;
  for (const run of space.idleRuns(LEAST_RUN)) {
    if (++runs > RUNS_AT_ONCE) return true;
    if (!file.punch(run.place * BLOCK_SIZE, run.count * BLOCK_SIZE)) return false;
    space.punched(run);
  }
  return false;
}
