/** Files and folders that appear whole or not at all: made under another name, made durable, then renamed. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const UNFINISHED = /^\.new-(\d+)-/;

/** A name in `dir` for something unfinished: it carries the process, so that its leftovers are known after a crash. */
export function unfinishedPath(dir: string): string {
  return join(dir, `.new-${process.pid}-${randomBytes(6).toString('hex')}`);
}

/** Makes a file's content or a folder's entries durable. */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes a folder, where it is missing, and those above it, with `mode` less the umask; the names of all that were made are
 * durable then.
 */
export function makeFolder(path: string, mode = 0o777): void {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first === undefined) return;
  const top = dirname(resolve(first));
  for (let made = resolve(path); made !== top; made = dirname(made)) syncPath(dirname(made));
}

/** Writes a file and makes its content durable; its name is so once its folder is synced. */
export function writeDurably(path: string, content: Uint8Array | string, mode = 0o666): void {
  writeFileSync(path, content, { flush: true, mode });
}

/**
 * Replaces a file: after a crash there is the old or the new one, and so there is where this throws. `mode`: of a new file, less
 * the umask.
 */
export function replaceDurably(dir: string, name: string, content: Uint8Array | string, mode = 0o666): void {
  const path = unfinishedPath(dir);
  try {
    writeDurably(path, content, mode);
    renameSync(path, join(dir, name));
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
  syncPath(dir);
}

/**
 * Removes what processes that are gone, or an earlier one with our id, left unfinished in `dir`: call it at the start.
 * Where processes of other containers, whose ids mean nothing here, use the folder too, only what nobody has changed for
 * `olderThanMs`.
 */
export function removeUnfinished(dir: string, olderThanMs = 0): void {
  for (const entry of readdirSync(dir)) {
    const owner = UNFINISHED.exec(entry)?.[1];
    if (owner === undefined || (Number(owner) !== process.pid && isRunning(Number(owner)))) continue;
    const path = join(dir, entry);
    const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - changed >= olderThanMs) rmSync(path, { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
