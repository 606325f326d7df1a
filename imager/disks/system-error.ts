/** Failed calls of the system as errors of the stores. */
import { systemWords } from '../storage/system-words.ts';
import { StoreError } from './store-error.ts';

/** A StoreError, of class `Kind`, for a failed call of the system: `what` failed, with the file's name. Others are given as they are. */
export function inWords(error: unknown, what: string, Kind: typeof StoreError = StoreError): Error {
  const why = systemWords(error);
  return why === undefined ? (error as Error) : new Kind(`${what}: ${why}`, { cause: error });
}
