/** What keeps a base image from being removed. */
import type { DiskClient } from './disk.ts';
import { StoreError } from './store-error.ts';

/** Who has base images as disks of their own, to look into them. */
export class BaseReaders {
  readonly #clients = new Map<symbol, { base: string; address: string }>();

  /** Notes a client of a base; gives what forgets it again. */
  add(base: string, { address }: DiskClient): () => void {
    const key = Symbol(base);
    this.#clients.set(key, { base, address });
    return () => void this.#clients.delete(key);
  }

  /** Who reads the base image, in words; undefined where nobody does. */
  refusal(base: string): string | undefined {
    const found = [...this.#clients.values()].filter((client) => client.base === base);
    const addresses = [...new Set(found.map(({ address }) => address))];
    return addresses.length === 0
      ? undefined
      : `base image "${base}" is read by ${addresses.join(', ')}: stop that first`;
  }
}

/**
 * Which of `disks` are over the base image, in words; undefined where none is. `baseOf` throws StoreError for one whose
 * base cannot be told: it may be this one, and may be read again another time.
 */
export function overlaysOver(
  base: string,
  disks: readonly string[],
  baseOf: (disk: string) => string,
): string | undefined {
  const over: string[] = [];
  const unknown: string[] = [];
  for (const disk of disks) {
    try {
      if (baseOf(disk) === base) over.push(disk);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      unknown.push(disk);
    }
  }
  if (over.length > 0) return `base image "${base}" is under ${listed(over)}: remove first what is over it`;
  if (unknown.length > 0)
    return `base image "${base}" may be under ${listed(unknown)}, so damaged that it cannot be told: repair or remove first`;
  return undefined;
}

function listed(disks: readonly string[]): string {
  return `${disks.length === 1 ? 'disk' : 'disks'} ${disks.join(', ')}`;
}
