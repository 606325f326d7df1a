/**
 * Metadata contexts ("Metadata querying"): which there are, which of them a client chose, and what they say of a disk.
 * Pure.
 *
 * `base:allocation` is the protocol's own. `x-bootwright:dirty` is ours: bit 0 is set where a disk was written, zeroed
 * or trimmed since it was made over its base, as qemu's dirty bitmaps have it; bases have no such context. Namespaces
 * that nobody registered begin with `x-`.
 */
import type { Extent } from '../disks/disk.ts';
import type { Status } from './chunks.ts';

const [STATE_HOLE, STATE_ZERO, STATE_DIRTY] = [1, 2, 1] as const;

export interface Context {
  id: number;
  name: string;
  /** The flags of a run. */
  flags(extent: Extent): number;
}

const ALLOCATION: Context = {
  id: 1,
  name: 'base:allocation',
  flags: ({ state }) => (state === 'data' ? 0 : state === 'zero' ? STATE_ZERO : STATE_HOLE | STATE_ZERO),
};
const DIRTY: Context = {
  id: 2,
  name: 'x-bootwright:dirty',
  flags: ({ dirty }) => (dirty ? STATE_DIRTY : 0),
};

/** The contexts of an export. */
export function contextsOf({ readOnly }: { readOnly: boolean }): Context[] {
  return readOnly ? [ALLOCATION] : [ALLOCATION, DIRTY];
}

/** NBD_OPT_LIST_META_CONTEXT: all where nothing is asked for, those of a namespace by `namespace:`, one by its name. */
export function listed(contexts: readonly Context[], queries: readonly string[]): Context[] {
  if (queries.length === 0) return [...contexts];
  return contexts.filter(({ name }) =>
    queries.some((query) => query === name || (query.endsWith(':') && name.startsWith(query))),
  );
}

/** NBD_OPT_SET_META_CONTEXT: by name alone; what we do not know is left out. */
export function selected(contexts: readonly Context[], queries: readonly string[]): Context[] {
  return contexts.filter(({ name }) => queries.includes(name));
}

/** What a context says of runs: neighbours that are alike to it are one; with `one`, the first alone. */
export function statusesOf(context: Context, extents: readonly Extent[], one: boolean): Status[] {
  const statuses: Status[] = [];
  for (const extent of extents) {
    const flags = context.flags(extent);
    const last = statuses.at(-1);
    if (last?.flags === flags) last.length += extent.length;
    else if (one && last !== undefined) break;
    else statuses.push({ length: extent.length, flags });
  }
  return statuses;
}
