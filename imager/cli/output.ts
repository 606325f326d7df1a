/** Where verbs are to write what they make: tried before anything is begun, so that no work is lost in the end. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from './failure.ts';

/** Tries whether a file can be put in the place of `path` (storage/durable.ts). Throws UsageError. */
export function tryOutput(path: string): void {
  tried(path, path, () => {
    // The slash: not of a file of that name.
    accessSync(`${dirname(path)}/`, constants.W_OK | constants.X_OK);
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    if (there !== undefined && !there.isFile()) throw new Error('it is no plain file');
  });
}

/** Does `work`, which is a trial of `path`; what it throws is a UsageError in words, behind `what`. */
export function tried(what: string, path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new UsageError(`${what}: ${words(error as NodeJS.ErrnoException, path)}`);
  }
}

function words({ code, message }: NodeJS.ErrnoException, path: string): string {
  switch (code) {
    case 'EISDIR':
      return 'it is a folder, not a file';
    case 'ENOENT':
      return `there is no folder ${dirname(path)}`;
    case 'EEXIST':
    case 'ENOTDIR':
      return 'a file is where a folder must be';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'it may not be written';
    default:
      return message;
  }
}
