/** What the file system says no with, in words for people who have no list of its codes at hand. */

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EDQUOT: 'the quota of the file system is used up',
  EFBIG: 'it is longer than the file system allows',
  EIO: 'its drive failed',
  EISDIR: 'it is a folder',
  ENOENT: 'there is no such file',
  ENOSPC: 'no space is left on the file system',
  ENOTDIR: 'part of its path is no folder',
  EROFS: 'its file system is read-only',
};

/** Why a call of the system failed; undefined where `error` is of something else. */
export function systemWords(error: unknown): string | undefined {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  if (code === undefined || errno === undefined) return undefined;
  const why = WORDS[code];
  return why === undefined ? message : `${why} (${code})`;
}

/** The same, behind the path the call was for. */
export function pathWords(error: unknown): string | undefined {
  const { path } = error as NodeJS.ErrnoException;
  const why = systemWords(error);
  return path === undefined || why === undefined ? undefined : `${path}: ${why}`;
}
