/** The Node host with absolute paths inside a folder: a node's disk that a test can look into. */
import { join } from 'node:path';
import { QuietHost } from './quiet-host.ts';

export class RootedHost extends QuietHost {
  readonly root: string;

  constructor(root: string) {
    super();
    this.root = root;
  }

  override readFile(path: string): Uint8Array {
    return super.readFile(join(this.root, path));
  }

  override replaceFile(path: string, bytes: Uint8Array, mode?: number): void {
    super.replaceFile(join(this.root, path), bytes, mode);
  }

  override exists(path: string): boolean {
    return super.exists(join(this.root, path));
  }

  override makeDirectory(path: string): void {
    super.makeDirectory(join(this.root, path));
  }

  override run(argv: string[], options: { timeoutMs: number; env?: Record<string, string> }) {
    return super.run(
      argv.map((word) => (word.startsWith('/var/') ? join(this.root, word) : word)),
      options,
    );
  }
}
