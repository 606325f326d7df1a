/** A host whose files are a table: /sys and /proc of machines that are not at hand. */
import { HostError } from '../../agent/linux/host.ts';
import { QuietHost } from './quiet-host.ts';

export class FilesHost extends QuietHost {
  /** What files hold by their paths; an error's name where they cannot be read, a link where it begins with `->`. */
  readonly files: Record<string, string | Uint8Array | { fails: string } | { link: string }>;

  constructor(files: FilesHost['files']) {
    super();
    this.files = { '/proc/cmdline': 'quiet\n', ...files };
  }

  override readFile(path: string): Uint8Array {
    const found = this.#find(path);
    if (found === undefined) throw new HostError('ENOENT', `open ${path}: No such file or directory`);
    if (typeof found === 'object' && 'fails' in found)
      throw new HostError(found.fails, `read ${path}: ${found.fails}`);
    if (typeof found === 'object' && 'link' in found) throw new HostError('EISDIR', `read ${path}: EISDIR`);
    return typeof found === 'string' ? new TextEncoder().encode(found) : found;
  }

  override replaceFile(path: string, bytes: Uint8Array): void {
    this.files[path] = bytes;
  }

  override readStored(path: string, offset: number, length: number): Uint8Array {
    return this.readFile(path).subarray(offset, offset + length);
  }

  override readLink(path: string): string {
    const found = this.#find(path);
    if (typeof found === 'object' && 'link' in found) return found.link;
    throw new HostError(found === undefined ? 'ENOENT' : 'EINVAL', `read link ${path}`);
  }

  override exists(path: string): boolean {
    return Object.keys(this.files).some((file) => file === path || file.startsWith(`${path}/`));
  }

  override list(path: string): string[] {
    if (!this.exists(path)) throw new HostError('ENOENT', `list ${path}: No such file or directory`);
    const found = this.#find(path);
    if (typeof found === 'object' && 'fails' in found)
      throw new HostError(found.fails, `list ${path}: ${found.fails}`);
    const names = Object.keys(this.files).flatMap((file) =>
      file.startsWith(`${path}/`) ? [file.slice(path.length + 1).split('/')[0]!] : [],
    );
    return [...new Set(names)].sort();
  }

  #find(path: string) {
    return Object.hasOwn(this.files, path) ? this.files[path] : undefined;
  }
}
