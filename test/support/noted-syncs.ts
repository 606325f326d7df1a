/** Which files and folders are made durable: `vi.mock('node:fs', async () => (await import(THIS)).notingSyncs())`. */
import { vi } from 'vitest';

/** Paths, in the order of the calls. */
export const synced: string[] = [];

/** Node's own calls, with note of each fsync. */
export async function notingSyncs(): Promise<typeof import('node:fs')> {
  const fs = await vi.importActual<typeof import('node:fs')>('node:fs');
  return {
    ...fs,
    fsyncSync: (fd) => {
      synced.push(fs.readlinkSync(`/proc/self/fd/${fd}`));
      fs.fsyncSync(fd);
    },
  };
}
