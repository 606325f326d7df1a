/**
 * What the imager knows of each node: its last hello, its pointer, the steps of its last boots, and whose each disk is.
 * Kept in the registry under ['node', NAME] and ['disk-owner'], so that a restarted imager neither forgets a node nor
 * takes a repeated step for a new one.
 */
import type { Hello, Step, StepDetail } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { Fallback } from '../model/fallback.ts';
import type { BootRecord, BootStep, Defined, Recognised } from '../model/views.ts';
import type { Registry } from '../registry/registry.ts';
import { attemptsGiven, fallbackOf } from './fallback.ts';
import { Inventories } from './inventories.ts';

export interface NodeRecord {
  uid: string;
  macs: string[];
  address: string;
  /** Of the last hello: milliseconds since the epoch. */
  at: number;
  bootedImage: string;
  /** What it was recognised by, and what was done to its definition then. */
  by?: Recognised;
  deeds?: readonly string[];
  defined?: Defined;
  /** What the node's pointer store was last known to hold. */
  pointer: BootPointer | null;
  /** Disks it is being flashed with, or was with nothing known of how that ended: its next hello tells. */
  claimed?: string[];
  /** Attempts the firmware was given for the pointer's deployment, as far as known. */
  given?: number;
  /** Of the present boot, where it is of the fallback image. */
  fallback?: Fallback;
  /** The last boots, the present one last. */
  boots: BootRecord[];
}

/** Three boots make a double reboot; one more shows what was before. */
const BOOTS_KEPT = 4;
const STEPS_KEPT = 64;
const DETAILS_KEPT = 16;
const DETAIL_TEXT_KEPT = 512;

/** Pairs of disk and node. */
const OWNERS = ['disk-owner'];

export class Directory {
  /** What each node consists of. */
  readonly inventories: Inventories;
  readonly #registry: Registry;
  readonly #isConfigured: (node: string) => boolean;
  /** The present state, ahead of the registry by the writes under way. */
  readonly #records = new Map<string, NodeRecord>();
  /** Node by disk. A pointer is only what a node says of itself, so the first to name a disk keeps it. */
  #owners = new Map<string, string>();

  /** Nodes that are not configured own nothing; their records are kept. */
  constructor(registry: Registry, isConfigured: (node: string) => boolean) {
    this.#registry = registry;
    this.inventories = new Inventories(registry);
    this.#isConfigured = isConfigured;
    for (const { key, value } of registry.range<NodeRecord>(['node']))
      if (key.length === 2) this.#records.set(key[1]!, value);
    this.#recallOwners();
  }

  get(node: string): NodeRecord | undefined {
    return this.#records.get(node);
  }

  /** The node that was last taken in at this address. */
  lastAt(address: string): string | undefined {
    let [last, at] = [undefined as string | undefined, 0];
    for (const [node, record] of this.#records)
      if (record.address === address && record.at >= at) [last, at] = [node, record.at];
    return last;
  }

  /** Highest step number taken of this boot of the node, 0 where none. */
  lastSeq(node: string, bootId: string): number {
    return this.#records.get(node)?.boots.find((boot) => boot.bootId === bootId)?.lastSeq ?? 0;
  }

  /** Notes a hello, whose pointer says how any flash before it ended, and `how` it was taken in. Resolves once durable. */
  join(
    node: string,
    hello: Hello,
    address: string,
    at: number,
    how: Pick<NodeRecord, 'by' | 'deeds' | 'defined'> = {},
  ): Promise<void> {
    const { uid, macs, bootId, bootedImage, pointer } = hello;
    const before = this.#records.get(node);
    const boots = before?.boots ?? [];
    const [given, fallback] = [attemptsGiven(before, hello), fallbackOf(before, hello)];
    const known = boots.some((boot) => boot.bootId === bootId);
    const present: BootRecord = {
      ...{ bootId, image: bootedImage, at, lastSeq: 0, steps: [] },
      ...(pointer === null ? {} : { deployment: pointer.deployment }),
    };
    return this.#storeNaming(node, {
      uid,
      macs,
      address,
      at,
      bootedImage,
      ...how,
      pointer,
      ...(given === undefined ? {} : { given }),
      ...(fallback === undefined ? {} : { fallback }),
      boots: known ? boots : [...boots, present].slice(-BOOTS_KEPT),
    });
  }

  /** Notes a step of the present boot, or of the earlier one it names. Resolves once durable. */
  step(node: string, bootId: string, step: Step, at: number): Promise<void> {
    const record = this.#records.get(node);
    if (record === undefined) return Promise.reject(new Error(`no hello of ${node}`));
    const entry: BootStep = {
      seq: step.seq,
      step: step.step,
      uptime: step.uptime,
      at,
      detail: shortened(step.detail ?? {}),
    };
    const of = step.boot?.id ?? bootId;
    const boots = withEarlier(record.boots, step, at).map((boot) =>
      boot.bootId === of
        ? { ...boot, lastSeq: step.seq, steps: [...boot.steps, entry].slice(-STEPS_KEPT) }
        : boot,
    );
    return this.#store(node, { ...record, boots });
  }

  /** Notes how far a node's pointer has come. What it says of another deployment or other disks takes a flash or a hello. */
  async noted(node: string, pointer: BootPointer): Promise<void> {
    const record = this.#records.get(node);
    const same =
      record?.pointer?.deployment === pointer.deployment &&
      record.pointer.disks.join() === pointer.disks.join();
    if (record !== undefined && same) await this.#store(node, { ...record, pointer });
  }

  /**
   * Makes disks the node's before its pointer names them, so that of two flashes with one disk at once the second is
   * refused. Who is to be refused is asked before, in the same turn: `foreignDisks`. Stands until the node is noted to be
   * `pointed`, is `spared`, or says hello. Resolves once durable, with what is still claimed of flashes before.
   */
  async claim(node: string, disks: string[]): Promise<string[]> {
    const record = this.#records.get(node);
    if (record === undefined) throw new Error(`no hello of ${node}`);
    const { claimed = [] } = record;
    await this.#storeNaming(node, { ...record, claimed: [...new Set([...claimed, ...disks])] });
    return claimed;
  }

  /** Whether the node's claim of these disks stands. */
  hasClaim(node: string, disks: readonly string[]): boolean {
    const { claimed = [] } = this.#records.get(node) ?? {};
    return disks.every((disk) => claimed.includes(disk));
  }

  /**
   * Notes that a node was not flashed: beside the disks of its pointer it has those of `claimed`, unless a hello has
   * settled that since. Resolves once durable.
   */
  async spared(node: string, claimed: string[]): Promise<void> {
    const record = this.#records.get(node);
    if (record?.claimed !== undefined) await this.#storeNaming(node, { ...record, claimed });
  }

  /** Notes the pointer a node was flashed with and confirmed: its disks are now that node's. Resolves once durable. */
  async pointed(node: string, pointer: BootPointer): Promise<void> {
    const record = this.#records.get(node);
    if (record === undefined) return;
    for (const disk of pointer.disks) this.#owners.set(disk, node);
    await this.#storeNaming(node, { ...unclaimed(record), pointer, given: pointer.attempts });
  }

  /**
   * Whether the node was flashed from the root disk `from` to `to` by now, as far as is known: where the last flash did not end, that
   * it was to be is enough, unless `from` was among its disks, too.
   */
  flashed(node: string, from: string, to: string): boolean {
    const { pointer, claimed = [] } = this.#records.get(node) ?? {};
    return pointer?.disks[0] === to || (claimed.includes(to) && !claimed.includes(from));
  }

  /**
   * The configured node this disk belongs to: the first whose pointer named it or that was to be flashed with it, as long
   * as that is so, unless another was flashed with it since.
   */
  ownerOf(disk: string): string | undefined {
    return this.#owners.get(disk);
  }

  /** Which of `disks`, or of those the node's pointer names, are another node's. */
  foreignDisks(node: string, disks?: readonly string[]): { disk: string; owner: string }[] {
    return (disks ?? this.#records.get(node)?.pointer?.disks ?? []).flatMap((disk) => {
      const owner = this.#owners.get(disk);
      return owner === undefined || owner === node ? [] : [{ disk, owner }];
    });
  }

  #recallOwners(): void {
    this.#owners = new Map(this.#registry.get<[string, string][]>(OWNERS) ?? []);
    this.#settleOwners();
  }

  /** Who owned a disk that it still names keeps it; others fall to the next who names them. */
  #settleOwners(): void {
    const owners = new Map<string, string>();
    for (const [node, { pointer, claimed = [] }] of this.#records) {
      if (!this.#isConfigured(node)) continue;
      for (const disk of [...(pointer?.disks ?? []), ...claimed])
        if (!owners.has(disk) || this.#owners.get(disk) === node) owners.set(disk, node);
    }
    this.#owners = owners;
  }

  async #store(node: string, record: NodeRecord, owners?: [string, string][]): Promise<void> {
    this.#records.set(node, record);
    try {
      await this.#registry.transact((tx) => {
        tx.put(['node', node], record);
        if (owners !== undefined) tx.put(OWNERS, owners);
      });
    } catch (error) {
      // What is not stored must not be taken for known: the agent sends it again.
      const stored = this.#registry.get<NodeRecord>(['node', node]);
      if (stored === undefined) this.#records.delete(node);
      else this.#records.set(node, stored);
      throw error;
    }
  }

  /** Stores a record whose pointer may name other disks than before. */
  async #storeNaming(node: string, record: NodeRecord): Promise<void> {
    this.#records.set(node, record);
    this.#settleOwners();
    try {
      await this.#store(node, record, [...this.#owners]);
    } catch (error) {
      this.#recallOwners();
      throw error;
    }
  }
}

/** With the boot of a step that was made while no imager answered, and so never said hello: before the present one. */
function withEarlier(boots: BootRecord[], { boot }: Step, at: number): BootRecord[] {
  if (boot === undefined || boots.some(({ bootId }) => bootId === boot.id)) return boots;
  const earlier: BootRecord = { bootId: boot.id, image: boot.image, at, lastSeq: 0, steps: [] };
  return [...boots.slice(0, -1), earlier, ...boots.slice(-1)].slice(-BOOTS_KEPT);
}

function unclaimed({ claimed: _, ...record }: NodeRecord): NodeRecord {
  return record;
}

/** A node's detail within bounds: what a node may make the imager keep is limited here, not by the node. */
export function shortened(detail: StepDetail): StepDetail {
  return Object.fromEntries(
    Object.entries(detail)
      .slice(0, DETAILS_KEPT)
      .map(([key, value]) => [key, typeof value === 'string' ? value.slice(0, DETAIL_TEXT_KEPT) : value]),
  );
}
