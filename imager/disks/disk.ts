/** A virtual disk as the NBD server sees it. Offsets and lengths in bytes; any alignment is accepted. */
export interface Disk {
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  /** Preferred request granularity in bytes, a power of two. */
  readonly blockSize: number;
  /** Fills `target` from `offset`. The caller keeps the range within `size`. */
  read(target: Uint8Array, offset: number): Promise<void>;
  /** Stores a copy of `source` at `offset`; durable after a later flush. */
  write(source: Uint8Array, offset: number): Promise<void>;
  /** Makes the range read as zeroes; with `mayTrim` its space may be given back. */
  writeZeroes(offset: number, length: number, mayTrim: boolean): Promise<void>;
  /** Declares the range unneeded. Afterwards it reads as zeroes. */
  trim(offset: number, length: number): Promise<void>;
  /** Resolves once every write that was acknowledged before the call survives power loss. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** A failed disk operation with the meaning NBD has an error number for. */
export class DiskError extends Error {
  readonly code: 'EPERM' | 'EIO' | 'ENOMEM' | 'EINVAL' | 'ENOSPC';
  constructor(code: DiskError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface DiskClient {
  address: string;
}

export interface DiskCatalog {
  /** Names this client may open. */
  list(client: DiskClient): string[];
  /** What `name` is, without opening it: an answer to NBD_OPT_INFO must not disturb whoever has the disk open. */
  describe(
    name: string,
    client: DiskClient,
  ): Pick<Disk, 'size' | 'readOnly' | 'blockSize'> | { refused: 'unknown' | 'policy'; why: string };
  /** Opens `name`, or tells why not. */
  open(
    name: string,
    client: DiskClient,
  ): Promise<Disk | { refused: 'unknown' | 'busy' | 'policy'; why: string }>;
}
