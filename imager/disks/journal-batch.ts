/** A record of the journal that is not in the file yet. */
import type { DiskError } from './disk.ts';
import type { PlaceRun } from './format.ts';
import { RECORD_HEAD } from './journal-record.ts';

export interface Batch {
  bytes: Buffer;
  length: number;
  /** Places that its changes replaced. */
  released: PlaceRun[];
  written: Promise<void>;
  resolve: () => void;
  reject: (error: DiskError) => void;
}

/** A record without changes yet, in `bytes`, which has room for the longest. */
export function newBatch(bytes: Buffer): Batch {
  let resolve = (): void => {};
  let reject = (_: DiskError): void => {};
  const written = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever waits for it hears of a failure; maybe nobody does.
  written.catch(() => undefined);
  return { bytes, length: RECORD_HEAD, released: [], written, resolve, reject };
}
