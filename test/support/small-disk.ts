/** A file system of a few megabytes that a program can have for a folder, and that outlives the program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export class SmallDisk {
  readonly #holder: ChildProcess;
  /** Words before a command that sees it. */
  readonly enter: string[];
  /** Where this process sees the folder. */
  readonly here: string;

  private constructor(holder: ChildProcess, enter: string[], here: string) {
    this.#holder = holder;
    this.enter = enter;
    this.here = here;
  }

  /** Puts it over the folder `dir`, for those who enter. */
  static async over(dir: string, bytes: number): Promise<SmallDisk> {
    const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const script = `mount -t tmpfs -o size=${bytes} none "${dir}" && echo ready && exec cat >/dev/null`;
    const holder = spawn('unshare', [...user, '--mount', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await Promise.race([
      once(holder.stdout!, 'data'),
      once(holder, 'exit').then(([code]) => Promise.reject(new Error(`no file system: exit ${code}`))),
    ]);
    const { pid } = holder;
    const inside = user.length === 0 ? [] : ['--user', '--preserve-credentials'];
    return new SmallDisk(
      holder,
      ['nsenter', `--target=${pid}`, ...inside, '--mount'],
      `/proc/${pid}/root${dir}`,
    );
  }

  async close(): Promise<void> {
    this.#holder.stdin!.end();
    await once(this.#holder, 'exit');
  }
}
