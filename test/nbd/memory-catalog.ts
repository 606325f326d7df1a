/** A catalog of disks in memory that tells what was done to them, and that can be slow and can fail. */
import type {
  Disk,
  DiskCatalog,
  DiskClient,
  DiskError,
  Extent,
  FilePart,
  Keep,
} from '../../imager/disks/disk.ts';

export class MemoryDisk implements Disk {
  readonly name: string;
  size: number;
  readonly readOnly: boolean;
  readonly blockSize = 4096;
  readonly content: Buffer;
  /** Blocks of 4 KiB that a write began in. */
  readonly written = new Set<number>();
  /** What was called and what ended, in order: "write 0 5", "flush", "close". */
  readonly journal: string[] = [];
  /** Set to hold operations of that kind until it resolves. */
  readonly gates: Partial<Record<'read' | 'write' | 'flush' | 'close', Promise<void>>> = {};
  /** Bytes of all reads that were begun. */
  bytesRead = 0;
  /** Writes that were begun. */
  writes = 0;
  /** Set to make every operation fail. */
  failure: DiskError | undefined;
  /** Bytes of reads that were under way at once, at most. */
  mostBytes = 0;
  /** Set to have parts of it in files. */
  fileParts: (offset: number, length: number, least: number) => FilePart[] = () => [];
  #bytes = 0;

  constructor(name: string, size: number, readOnly = false) {
    this.name = name;
    this.size = size;
    this.readOnly = readOnly;
    this.content = Buffer.alloc(size);
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.bytesRead += target.length;
    this.#bytes += target.length;
    this.mostBytes = Math.max(this.mostBytes, this.#bytes);
    await this.gates.read;
    this.#bytes -= target.length;
    if (this.failure !== undefined) throw this.failure;
    target.set(this.content.subarray(offset, offset + target.length));
  }

  async write(source: Uint8Array, offset: number, keep?: Keep): Promise<void> {
    const release = keep?.();
    this.writes++;
    await this.gates.write;
    if (this.failure === undefined) this.content.set(source, offset);
    release?.();
    if (this.failure !== undefined) throw this.failure;
    for (let at = offset; at < offset + source.length; at += 4096) this.written.add(Math.floor(at / 4096));
    this.journal.push(`write ${offset} ${source.length}`);
  }

  async writeZeroes(offset: number, length: number, mayTrim: boolean): Promise<void> {
    this.content.fill(0, offset, offset + length);
    this.journal.push(`zeroes ${offset} ${length} ${mayTrim}`);
  }

  async trim(offset: number, length: number): Promise<void> {
    this.content.fill(0, offset, offset + length);
    this.journal.push(`trim ${offset} ${length}`);
  }

  /** Zeroes are holes, by 4 KiB; `dirty` what was written. */
  extents(offset: number, length: number, most: number): Extent[] {
    const extents: Extent[] = [];
    for (let at = offset; at < offset + length && extents.length < most; ) {
      const end = Math.min(offset + length, (Math.floor(at / 4096) + 1) * 4096);
      const state = this.content.subarray(at, end).every((byte) => byte === 0) ? 'hole' : 'data';
      extents.push({ length: end - at, state, dirty: this.written.has(Math.floor(at / 4096)) });
      at = end;
    }
    return extents;
  }

  async flush(): Promise<void> {
    await this.gates.flush;
    if (this.failure !== undefined) throw this.failure;
    this.journal.push('flush');
  }

  async close(): Promise<void> {
    this.journal.push('close');
    await this.gates.close;
  }
}

export class MemoryCatalog implements DiskCatalog {
  readonly disks: MemoryDisk[];
  /** Set to hold opens until it resolves. */
  openGate: Promise<void> | undefined;

  constructor(disks: MemoryDisk[]) {
    this.disks = disks;
  }

  list(): string[] {
    return this.disks.map((disk) => disk.name);
  }

  describe(name: string): ReturnType<DiskCatalog['describe']> {
    const disk = this.disks.find((one) => one.name === name);
    return disk ?? { refused: 'unknown', why: `no disk "${name}"; there is: ${this.list().join(', ')}` };
  }

  async open(name: string, client: DiskClient): ReturnType<DiskCatalog['open']> {
    await this.openGate;
    const disk = this.disks.find((one) => one.name === name)!;
    const opens = disk.journal.filter((line) => line.startsWith('open')).length;
    const closes = disk.journal.filter((line) => line === 'close').length;
    if (opens > closes && !disk.readOnly) return { refused: 'busy', why: `disk "${name}" is in use` };
    disk.journal.push(['open', client.address, client.identity ?? ''].join(' ').trimEnd());
    return disk;
  }
}
