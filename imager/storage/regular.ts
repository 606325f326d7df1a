/** Files that somebody names for the imager to read: plain ones alone, whatever the name turns out to be. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

/** The name is of something that is no plain file: `message` says what it is. */
export class NotPlainError extends Error {}

/**
 * Opens a plain file, or a link to one, for reading. Rejects with NotPlainError for all else: a FIFO would wait for a
 * writer, a device may never end. Looked at before it is opened, which alone has effects on some devices, and after.
 */
export async function openPlain(path: string): Promise<FileHandle> {
  checkPlain(path, await stat(path));
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    checkPlain(path, await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * The text of a plain file of `most` bytes at most, or of a link to one. Throws NotPlainError for all else, looked at as by openPlain(),
 * and Error where it is longer.
 */
export function readPlain(path: string, most: number): string {
  checkPlain(path, statSync(path));
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(fd);
    checkPlain(path, found);
    if (found.size > most) throw new Error(`${path} has ${found.size} bytes, more than ${most}`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

function checkPlain(path: string, found: Stats): void {
  if (!found.isFile()) throw new NotPlainError(`${path} is ${kindOf(found)}, not a file`);
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder';
  if (found.isFIFO()) return 'a FIFO';
  return found.isSocket() ? 'a socket' : 'a device';
}
