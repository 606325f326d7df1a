/** Names of files, made durable. */
import { open } from 'node:fs/promises';

/** Resolves once the names in directory `path` are on the disk: a file's own sync does not put its name there. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
