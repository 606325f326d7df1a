/** Whether files of the boot table are what their images say, read again only where they may have changed. */
import { type BigIntStats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { hashFile } from './copy.ts';

/**
 * Kernels take a file's times from a clock with ticks of some milliseconds (4 at CONFIG_HZ=250): of two changes within one tick the
 * second leaves no trace. What is said of a file that was changed just before is not relied on later, as git does with entries
 * of its index that are "racily clean" (git, "Use of index and Racy Git problem").
 */
const FRESH_MS = 2000;

interface Looked {
  version: string;
  /** The file was so old that a later change gives it another version. */
  settled: boolean;
  sha256: Promise<string>;
  /** What came of it. */
  found?: string;
}

export class Intact {
  readonly #looked = new Map<string, Looked>();

  /** SHA-256 of the file as it is now, in hexadecimal. Rejects with the system's error where it cannot be read. */
  async sha256(path: string, signal: AbortSignal): Promise<string> {
    const there = await stat(path, { bigint: true });
    const version = versionOf(there);
    const known = this.#looked.get(path);
    // One that is being read is read for all who come meanwhile: 500 nodes that boot at once read a new image once, not 500 times.
    const holds = known !== undefined && (known.settled || known.found === undefined);
    return holds && known.version === version ? known.sha256 : this.#look(path, there, signal);
  }

  /** The same, read again whatever is known of it. */
  async reread(path: string, signal: AbortSignal): Promise<string> {
    return this.#look(path, await stat(path, { bigint: true }), signal);
  }

  #look(path: string, there: BigIntStats, signal: AbortSignal): Promise<string> {
    const version = versionOf(there);
    const settled = Math.abs(Date.now() - Number(there.ctimeMs)) >= FRESH_MS;
    const looked: Looked = { version, settled, sha256: hashFile(path, signal) };
    this.#looked.set(path, looked);
    looked.sha256.then(
      (found) => {
        looked.found = found;
      },
      () => {
        if (this.#looked.get(path) === looked) this.#looked.delete(path);
      },
    );
    return looked.sha256;
  }

  /** What was found when it was last read, where it has the same version still: to tell people, not to rely on. */
  known(path: string): string | undefined {
    const looked = this.#looked.get(path);
    if (looked === undefined) return undefined;
    const there = statSync(path, { bigint: true, throwIfNoEntry: false });
    return there !== undefined && versionOf(there) === looked.version ? looked.found : undefined;
  }
}

/** Another one where the content may be another. */
function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join();
}
