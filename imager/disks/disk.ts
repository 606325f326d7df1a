/** A run of bytes of one kind. */
export interface Extent {
  /** Bytes, more than 0. */
  length: number;
  /**
   * `data`: anything may be there. `zero`: reads as zeroes and has its space. `hole`: reads as zeroes, and a write there
   * may find no space.
   */
  state: 'data' | 'zero' | 'hole';
  /** It was written, zeroed or trimmed since the disk was made over its base. */
  dirty: boolean;
}

/** Bytes of a disk that lie in a file as they are: they can be sent from there, and are good without a look at them. */
export interface FilePart {
  /** Of the disk, in bytes. */
  readonly offset: number;
  readonly length: number;
  /**
   * Has `send` move bytes of the open file from the place `at` on, where the part begins: gives what `send` gives. Throws
   * DiskError where the file is closed.
   */
  lend(send: (fd: number, at: number) => number): number;
  /** Fills `target` with what begins with the part's byte `from`. Throws DiskError. */
  readNow(target: Uint8Array, from: number): void;
}

/** A virtual disk as the NBD server sees it. Offsets and lengths in bytes; any alignment is accepted. */
export interface Disk {
  readonly name: string;
  readonly size: number;
  readonly readOnly: boolean;
  /** Preferred request granularity in bytes, a power of two. */
  readonly blockSize: number;
  /** Fills `target` from `offset`. The caller keeps the range within `size`. */
  read(target: Uint8Array, offset: number): Promise<void>;
  /**
   * Those parts of the range, in order and each of `least` bytes or more, that are better sent from their files than read
   * at present: to be asked anew for each read, and to be used soon. All else of the range is to be read. Throws DiskError
   * where a read would fail.
   */
  fileParts(offset: number, length: number, least: number): FilePart[];
  /**
   * Stores a copy of `source` at `offset`; durable after a later flush. `keep` is called, before the call returns, where `source`
   * is needed longer than that: what it gives is called once it is not any more.
   */
  write(source: Uint8Array, offset: number, keep?: Keep): Promise<void>;
  /**
   * Makes the range read as zeroes. With `mayTrim` its space may be given back, and that takes less time than writing
   * the whole blocks in it; without, later writes there find the space they need.
   */
  writeZeroes(offset: number, length: number, mayTrim: boolean): Promise<void>;
  /** Declares the range unneeded. Afterwards it reads as zeroes. */
  trim(offset: number, length: number): Promise<void>;
  /**
   * What is there from `offset` on, run by run: at most `most` of them (1 or more), so that the answer may end before
   * `length` bytes (1 or more). Neighbours may be alike. From memory: it is asked before reads that may be holes.
   */
  extents(offset: number, length: number, most: number): Extent[];
  /** Resolves once every write that was acknowledged before the call survives power loss. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Has memory stay as it is; what it gives ends that. */
export type Keep = () => () => void;

/** What an operation gives that was done before its call returned: whoever asked for it need not wait for a turn. */
export const DONE: Promise<void> = Promise.resolve();

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
  /** What it proved by TLS: its certificate's common name, or the name of its key. Without TLS nothing. */
  identity?: string;
}

export interface DiskCatalog {
  /** Names this client may open. */
  list(client: DiskClient): string[];
  /**
   * What `name` is, without opening it: an answer to NBD_OPT_INFO must not disturb whoever has the disk open. `blockSize` is
   * what clients are to have for their blocks: no larger than those of the file system in it.
   */
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
