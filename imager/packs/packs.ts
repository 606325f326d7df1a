/**
 * Boot traces and boot packs: stands between the NBD server and the disks, sees what nodes read while they boot, keeps
 * it beside the base image, has it read ahead when the next node attaches a disk over that base, and gives nodes packs.
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Disk, DiskCatalog, DiskClient } from '../disks/disk.ts';
import { StoreError, UnknownNameError } from '../disks/store-error.ts';
import { type BootFile, type BootFiles, memoryFile, NotServed } from '../images/boot-files.ts';
import type { BootEvent } from '../journal/event.ts';
import { Tally } from '../journal/tally.ts';
import type { BootReads } from '../model/views.ts';
import { Attachment } from './attachment.ts';
import { emptyPack, nodePack } from './node-pack.ts';
import { PackFile, traceChecksum } from './pack-file.ts';
import { PackMaker } from './pack-maker.ts';
import { type BaseImage, BLOCK_SIZE, blocksIn, type Trace } from './trace.ts';
import { TraceStore } from './trace-store.ts';
import { TracedDisk } from './traced-disk.ts';
import { warm } from './warm.ts';

/** A boot that is not ready by then is none whose reads are worth keeping after that. */
const TRACE_MS = 300_000;
/** A base that was warmed is in the page cache for so long at least. */
const WARM_MS = 60_000;
const PACKS = 'packs/';

/** The disks, as this room needs them. */
export interface PackedDisks extends DiskCatalog {
  /** What an overlay is over; undefined where it is not there. */
  show(name: string): { base: string; baseDigest: string } | undefined;
  bases(): readonly ({ name: string } & BaseImage)[];
}

export interface PacksOptions {
  disks: PackedDisks;
  /** Where the base images are. */
  dir: string;
  log: Logger;
  traceMs?: number;
}

export class Packs implements DiskCatalog {
  readonly #disks: PackedDisks;
  readonly #dir: string;
  readonly #traceMs: number;
  readonly #tally: Tally;
  readonly #traces: TraceStore;
  readonly #maker: PackMaker;
  readonly #attached = new Map<string, Attachment>();
  readonly #warmed = new Map<string, number>();
  readonly #warming = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  constructor({ disks, dir, log, traceMs = TRACE_MS }: PacksOptions) {
    this.#disks = disks;
    this.#dir = dir;
    this.#traceMs = traceMs;
    this.#tally = new Tally(log);
    this.#traces = new TraceStore(dir, log);
    this.#maker = new PackMaker(dir, log, this.#tally);
  }

  list(client: DiskClient): string[] {
    return this.#disks.list(client);
  }

  describe(name: string, client: DiskClient): ReturnType<DiskCatalog['describe']> {
    return this.#disks.describe(name, client);
  }

  async open(name: string, client: DiskClient): ReturnType<DiskCatalog['open']> {
    const disk = await this.#disks.open(name, client);
    if ('refused' in disk || disk.readOnly) return disk;
    const { base, baseDigest } = this.#disks.show(name) ?? {};
    const image = this.#disks.bases().find((each) => each.name === base && each.digest === baseDigest);
    return image === undefined ? disk : this.#attach(disk, client, image);
  }

  #attach(
    disk: Disk,
    client: DiskClient,
    { name: base, size, digest }: { name: string } & BaseImage,
  ): TracedDisk {
    const { name } = disk;
    const earlier = this.#attached.get(name);
    const image = { size, digest };
    const attachment =
      earlier?.address === client.address
        ? earlier
        : new Attachment({ base, image, address: client.address });
    if (client.identity !== undefined) attachment.secret = true;
    attachment.disks.add(disk);
    if (attachment !== earlier) {
      this.#attached.set(name, attachment);
      attachment.limit = setTimeout(() => this.#finish(attachment), this.#traceMs).unref();
      this.#warm(base, image);
    }
    return new TracedDisk(disk, attachment, () => {
      attachment.disks.delete(disk);
      if (attachment.disk !== undefined) return;
      if (this.#attached.get(name) === attachment) this.#attached.delete(name);
      this.#finish(attachment);
    });
  }

  /** Hears what agents say: a node's reads are a boot's from `mounted` on, and back to its attach, until `ready`. */
  take({ component, step, address }: Pick<BootEvent, 'component' | 'step' | 'address'>): void {
    if (component !== 'agent' || (step !== 'mounted' && step !== 'ready')) return;
    for (const attachment of this.#attached.values()) {
      if (attachment.address !== address) continue;
      attachment.booted = true;
      if (step === 'ready') this.#finish(attachment);
    }
  }

  /** Keeps what a boot read. What no agent boots from is none's: a copy of the disk reads all of it. */
  #finish(attachment: Attachment): void {
    if (attachment.finished) return;
    const { base, image, runs, booted } = attachment;
    clearTimeout(attachment.limit);
    attachment.listening = false;
    attachment.finished = true;
    if (!booted) return;
    this.#tally.count('traces.taken');
    try {
      const trace = this.#traces.add(base, image, runs);
      if (trace === undefined) return;
      this.#tally.count('traces.kept');
      this.#maker.want(base, trace);
    } catch (error) {
      this.#tally.notice('traces.failed', { base, err: error }, 'what a boot read could not be kept');
    }
  }

  #warm(base: string, image: BaseImage): void {
    if (performance.now() - (this.#warmed.get(base) ?? -WARM_MS) < WARM_MS) return;
    this.#warmed.set(base, performance.now());
    const trace = this.#traces.read(base, image);
    if (trace === undefined) return;
    this.#tally.count('warm.started');
    const warming = warm(join(this.#dir, `${base}.img`), trace.runs, this.#stop.signal).then(
      (bytes) => {
        this.#tally.count('warm.bytes', bytes);
        this.#tally.count(this.#stop.signal.aborted ? 'warm.interrupted' : 'warm.done');
      },
      (error: Error) => this.#tally.notice('warm.failed', { base, err: error }),
    );
    this.#warming.add(warming);
    void warming.then(() => this.#warming.delete(warming));
  }

  /** `packs/DISK` is the pack of a disk for the node that has it attached; all other names are those of `others`. */
  files(others: BootFiles): BootFiles {
    return {
      open: (path, client) => {
        const name = path.replace(/^\/+/, '');
        if (!name.startsWith(PACKS)) return others.open(path, client);
        return this.#openPack(name.slice(PACKS.length), client.address);
      },
    };
  }

  async #openPack(name: string, address: string): Promise<BootFile> {
    const attachment = this.#attached.get(name);
    if (attachment?.address !== address) throw new NotServed(`${address} has no disk of that name attached`);
    // What goes over the network in secret must not go over it in the clear as well.
    if (attachment.secret) throw new NotServed('the disk is attached over TLS, and packs are not');
    const { disk } = attachment;
    if (disk === undefined || !attachment.untouched)
      throw new NotServed('the disk was written to since it was attached');
    const pack = await this.#open(attachment);
    if (pack === undefined) {
      this.#tally.count('packs.none');
      const { digest } = attachment.image;
      return { ...memoryFile(emptyPack(disk.size, digest)), version: `${digest}-none` };
    }
    this.#tally.count('packs.served');
    try {
      const still = () => attachment.untouched && this.#attached.get(name) === attachment;
      return await nodePack(pack, disk, still);
    } catch (error) {
      await pack.close();
      throw error;
    }
  }

  /** The base's pack; undefined where there is none that fits. */
  async #open({ base, image }: Attachment): Promise<PackFile | undefined> {
    const pack = await this.#openFile(base);
    if (pack === undefined) return undefined;
    if (pack.index.digest === image.digest && pack.index.size === image.size) return pack;
    await pack.close();
    this.#tally.notice('packs.other-base', { base }, 'this pack is of another image, and is not used');
    return undefined;
  }

  async #openFile(base: string): Promise<PackFile | undefined> {
    try {
      return await PackFile.open(this.#dir, base);
    } catch (error) {
      // Damaged, or not to be read: the disk is served, and this imager begins, without it.
      this.#tally.notice(
        'packs.damaged',
        { base, err: error },
        `${(error as Error).message}: it is not used`,
      );
      return undefined;
    }
  }

  /** What is known of boots over the base; undefined where there was none yet, or there is no such base. */
  async show(base: string): Promise<BootReads | undefined> {
    const image = this.#disks.bases().find(({ name }) => name === base);
    const trace = image && this.#traces.read(base, image);
    if (trace === undefined) return undefined;
    const pack = await this.#openFile(base);
    await pack?.close();
    return {
      bytes: blocksIn(trace.runs) * BLOCK_SIZE,
      boots: trace.boots,
      pack: pack?.size ?? null,
      current: pack?.index.trace === traceChecksum(trace),
    };
  }

  /** Makes the pack of a base whose boots were seen. Rejects with UnknownNameError, StoreError where there was none. */
  async make(base: string): Promise<BootReads> {
    await this.#maker.make(base, this.#traceOf(base));
    return (await this.show(base))!;
  }

  #traceOf(base: string): Trace {
    const bases = this.#disks.bases();
    const image = bases.find(({ name }) => name === base);
    const names = bases.map(({ name }) => name);
    if (image === undefined) throw new UnknownNameError('base image', base, names);
    const trace = this.#traces.read(base, image);
    if (trace === undefined)
      throw new StoreError(
        `no node has booted over base image "${base}" yet: what a boot reads is not known`,
      );
    return trace;
  }

  /** Makes packs that are missing or older than their trace: call it at the start. */
  async makeMissing(): Promise<void> {
    for (const { name } of this.#disks.bases())
      if ((await this.show(name))?.current === false) this.#maker.want(name, this.#traceOf(name));
  }

  stats(): Record<string, number> {
    return this.#tally.stats();
  }

  /** Resolves once what boots read so far is packed and warmed. */
  async idle(): Promise<void> {
    await this.#maker.idle();
    await Promise.all(this.#warming);
  }

  /** Interrupts what goes on in the background. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#maker.close();
    await Promise.all(this.#warming);
  }
}
