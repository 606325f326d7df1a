/** Whether files of the boot table are what their images say, read again only where they may have changed. */
import { stat } from 'node:fs/promises';
import { hashFile } from './copy.ts';

interface Looked {
  version: string;
  sha256: Promise<string>;
}

export class Intact {
  readonly #looked = new Map<string, Looked>();

  /** SHA-256 of the file as it is now, in hexadecimal. Rejects with the system's error where it cannot be read. */
  async sha256(path: string, signal: AbortSignal): Promise<string> {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    const version = [dev, ino, size, mtimeNs, ctimeNs].join();
    const known = this.#looked.get(path);
    if (known?.version === version) return known.sha256;
    const looked = { version, sha256: hashFile(path, signal) };
    this.#looked.set(path, looked);
    looked.sha256.catch(() => {
      if (this.#looked.get(path) === looked) this.#looked.delete(path);
    });
    return looked.sha256;
  }
}
