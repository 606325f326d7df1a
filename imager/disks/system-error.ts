/** What the file system says no with, in words for people who have no list of its codes at hand. */
import { StoreError } from './store-error.ts';

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EDQUOT: 'the quota of the file system is used up',
  EFBIG: 'it is longer than the file system allows',
  EIO: 'its drive failed',
  EISDIR: 'it is a folder',
  ENOENT: 'there is no such file',
  ENOSPC: 'no space is left on the file system',
  EROFS: 'its file system is read-only',
};

/** A StoreError, of class `Kind`, for a failed call of the system: `what` failed, with the file's name. Others are given as they are. */
export function inWords(error: unknown, what: string, Kind: typeof StoreError = StoreError): Error {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  if (code === undefined || errno === undefined) return error as Error;
  const why = WORDS[code];
  return new Kind(`${what}: ${why === undefined ? message : `${why} (${code})`}`, { cause: error });
}
