/**
 * Disks and base images on their way out: each is gone for everybody with one rename, and its space is given back after
 * that. What a crash leaves has a name by which the next start tidies it up.
 */
import { closeSync, existsSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isName } from '../../agent/protocol/names.ts';
import { syncPath, unfinishedPath } from '../storage/durable.ts';
import { lockFile } from './host.ts';
import { FILE_NAME } from './overlay-file.ts';
import { BusyError, StoreError } from './store-error.ts';
import { inWords } from './system-error.ts';

/** Begins the name that the description of a removed base image has until its other files are out of the way. */
const GONE = '.gone-';
/** Ends of the names of a base image's other files; those of packs/ go with it. */
const BESIDE = ['img', 'zeros', 'trace', 'pack'];
/** There is no file that another process could have open. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/**
 * Takes the disk in the folder DIR/NAME away, durably; gives what is left to delete. Throws BusyError where another
 * process has it, StoreError where it cannot be taken away.
 */
export function takeDisk(dir: string, name: string): string[] {
  const lock = lockedOverlay(dir, name);
  try {
    const path = unfinishedPath(dir);
    renameSync(join(dir, name), path);
    syncPath(dir);
    return [path];
  } catch (error) {
    throw inWords(error, `disk "${name}" cannot be removed`);
  } finally {
    if (lock !== undefined) closeSync(lock);
  }
}

/** A damaged disk may have no file to lock. */
function lockedOverlay(dir: string, name: string): number | undefined {
  const path = join(dir, name, FILE_NAME);
  try {
    return locked(path, `disk "${name}" is in use by another process of this machine`);
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw inWords(error, `disk "${name}" cannot be removed`);
  }
}

/** Opens and locks a file. Throws BusyError, with the words `busy`, where another process has it locked. */
function locked(path: string, busy: string): number {
  const fd = openSync(path, 'r');
  try {
    if (lockFile(fd, path)) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  throw new BusyError(busy);
}

/**
 * Takes a base image that nobody uses from the folder `dir`, durably; gives what is left to delete. Throws StoreError
 * where it cannot be taken away.
 */
export function takeBase(dir: string, name: string): string[] {
  const description = join(dir, `${name}.json`);
  try {
    const lock = locked(description, `base image "${name}" is being removed by another process`);
    try {
      renameSync(description, join(dir, GONE + name));
      syncPath(dir);
      return takeBeside(dir, name);
    } finally {
      closeSync(lock);
    }
  } catch (error) {
    throw inWords(error, `base image "${name}" cannot be removed`);
  }
}

/** Goes on with the removal of base images that a crash cut short: call it at the start. */
export function finishRemovals(dir: string): void {
  for (const entry of readdirSync(dir)) {
    const name = entry.slice(GONE.length);
    if (!entry.startsWith(GONE) || !isName(name)) continue;
    try {
      finishRemoval(dir, name);
    } catch (error) {
      // Space that cannot be given back keeps nobody from the other base images: the next start tries again.
      if (!(error instanceof StoreError)) throw error;
    }
  }
}

/** Has nothing left of a base image of that name that was removed. Throws StoreError where that cannot be. */
export function finishRemoval(dir: string, name: string): void {
  const description = join(dir, GONE + name);
  if (!existsSync(description)) return;
  try {
    const lock = locked(description, `base image "${name}" is being removed by another process: try again`);
    try {
      // Who had it locked before may be done with it, and another one of that name be there.
      if (existsSync(description))
        for (const path of takeBeside(dir, name)) rmSync(path, { recursive: true, force: true });
    } finally {
      closeSync(lock);
    }
  } catch (error) {
    throw inWords(error, `what was left of base image "${name}" cannot be removed`);
  }
}

/** The description goes last: by its name a crash before that is seen. */
function takeBeside(dir: string, name: string): string[] {
  const paths = BESIDE.map((end) => join(dir, `${name}.${end}`)).filter((path) => existsSync(path));
  const taken = paths.map((path) => {
    const to = unfinishedPath(dir);
    renameSync(path, to);
    return to;
  });
  syncPath(dir);
  rmSync(join(dir, GONE + name), { recursive: true, force: true });
  return taken;
}

/** Gives the space of what was taken away back: of much that takes a while. Rejects with StoreError. */
export async function deleteTaken(what: string, paths: readonly string[]): Promise<void> {
  for (const path of paths)
    await rm(path, { recursive: true, force: true }).catch((error) => {
      throw inWords(error, `${what} is removed, but its space is given back at the next start only`);
    });
}
