/** Files of the cache that several processes may be making at once. */
import { rename, writeFile } from 'node:fs/promises';

/** Puts a whole file in the place of the former one: whoever reads it meanwhile has one or the other. Not durable. */
export async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  const work = `${path}.${process.pid}.new`;
  await writeFile(work, content);
  await rename(work, path);
}
