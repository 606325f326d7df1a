/** What the boot servers (TFTP, HTTP) read from: a tree of real and generated files. */
import { createHash } from 'node:crypto';

export interface BootFile {
  /** Bytes. Fixed from open to close. */
  readonly size: number;
  /** Another one when the bytes are others: letters, digits and `-`. Undefined where that cannot be told. */
  readonly version?: string;
  /** Reads up to `target.length` bytes from `offset` into `target`; gives the count, 0 at the end. */
  read(target: Uint8Array, offset: number): Promise<number>;
  close(): Promise<void>;
}

export interface BootFileClient {
  /** IPv4 address the request came from. */
  address: string;
}

/** The name is known, but there is nothing under it for this client: `message` says why, to client and journal. */
export class NotServed extends Error {}

export interface BootFiles {
  /**
   * Opens `path` for reading. The path is normalised by the callee: leading and double slashes and backslashes
   * are folded, '..' never leaves the tree. Undefined: there is no such file. Rejects with NotServed, which clients
   * are to be told as the same, with its reason.
   */
  open(path: string, client: BootFileClient): Promise<BootFile | undefined>;
}

/** A generated file held in memory. */
export function memoryFile(bytes: Uint8Array): BootFile {
  return {
    size: bytes.length,
    version: createHash('sha256').update(bytes).digest('hex').slice(0, 32),
    async read(target, offset) {
      const part = bytes.subarray(offset, offset + target.length);
      target.set(part);
      return part.length;
    },
    async close() {},
  };
}
