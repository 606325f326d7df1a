/** Whether files of the boot table are what their images say, read again only where they may have changed. */
import { type BigIntStats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { hashFile } from './copy.ts';

interface Looked {
  version: string;
  sha256: Promise<string>;
  /** What came of it. */
  found?: string;
}

export class Intact {
  readonly #looked = new Map<string, Looked>();

  /** SHA-256 of the file as it is now, in hexadecimal. Rejects with the system's error where it cannot be read. */
  async sha256(path: string, signal: AbortSignal): Promise<string> {
    const version = versionOf(await stat(path, { bigint: true }));
    const known = this.#looked.get(path);
    if (known?.version === version) return known.sha256;
    const looked: Looked = { version, sha256: hashFile(path, signal) };
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

  /** The same where it is known without reading. */
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
