/** Failed calls of the system as errors of the stores and disks. */
import { systemWords } from '../storage/system-words.ts';
import { asDiskError } from './block-file.ts';
import { DiskError } from './disk.ts';
import { StoreError } from './store-error.ts';

/** A StoreError, of class `Kind`, for a failed call of the system: `what` failed, with the file's name. Others are given as they are. */
export function inWords(error: unknown, what: string, Kind: typeof StoreError = StoreError): Error {
  const why = systemWords(error);
  return why === undefined ? (error as Error) : new Kind(`${what}: ${why}`, { cause: error });
}

/** The DiskError for a call of the system that failed for the disk `name`, in words. Other errors are given as they are. */
export function ofDisk(name: string, error: unknown): unknown {
  const failed = error instanceof DiskError ? (error.cause ?? error) : error;
  const why = systemWords(failed);
  if (why === undefined) return error;
  return new DiskError(asDiskError(failed).code, `disk "${name}": ${why}`, { cause: failed });
}
