/** Folders of the cache where builders keep what is unfinished. */
import { mkdirSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { removeUnfinished, unfinishedPath } from '../storage/durable.ts';

/** Runs `use` with a folder of its own in `cacheDir`, which is gone afterwards. */
export async function withWorkFolder<T>(cacheDir: string, use: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(cacheDir, { recursive: true });
  const folder = unfinishedPath(cacheDir);
  try {
    await mkdir(folder, { mode: 0o700 });
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A build in another container may share the cache, and the longest takes some minutes. */
const ABANDONED_MS = 3_600_000;

/** Clears away what builds that were killed left in `cacheDir`: to be called before the first of a process. */
export function clearWorkFolders(cacheDir: string): void {
  mkdirSync(cacheDir, { recursive: true });
  removeUnfinished(cacheDir, ABANDONED_MS);
}
