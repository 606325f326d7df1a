/**
 * The cluster's copies of its nodes' definitions, in the registry under ['cluster'], ['definition', ID] and
 * ['standing', NODE]. Keys of nodes are nowhere else: no view, event or log has them.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Definition } from '../../agent/protocol/definition.ts';
import { KEY_BYTES } from '../../agent/protocol/local-content.ts';
import type { Uid } from '../../agent/protocol/uid.ts';
import type { Registry } from '../registry/registry.ts';
import type { Signer } from '../signing/signer.ts';
import type { GlobalDefinition } from './definition.ts';

/** What the operator said of a node, where it is not as the configuration has it for all. */
export interface Standing {
  /** To be defined at its next hello, with this number where one is given. */
  wanted?: { number?: number };
  /** Undefined by the operator: not taken in before it is wanted again. */
  closed?: true;
}

export interface DefinitionsOptions {
  registry: Registry;
  /** Name of the cluster. */
  cluster: string;
  /** Names of the configured nodes in order: the first has number 1 where that is free. */
  nodes: readonly string[];
  /** IPv4 addresses for new definitions. */
  imagers: readonly string[];
  /** Of the cluster: its point is Definition.signer. */
  signer: Signer;
}

/** Deleted definitions of a node that are kept for their keys: it has one of them at most, and each of its disks one. */
const LEFT_KEPT = 4;
const LEFT_ON_DISKS = 64;

/** A number or UID that another node has. */
export class TakenError extends Error {}

export class Definitions {
  readonly cluster: { name: string; id: string };
  readonly signer: Signer;
  readonly #options: DefinitionsOptions;
  /** The present state, ahead of the registry by the writes under way. */
  readonly #byId = new Map<string, GlobalDefinition>();
  /** Ids of those that are not deleted, by `name`, `uid` and `number`. */
  readonly #index = new Map<string, string>();
  readonly #standings = new Map<string, Standing>();

  private constructor(options: DefinitionsOptions, id: string) {
    this.#options = options;
    this.signer = options.signer;
    this.cluster = { name: options.cluster, id };
    for (const { value } of options.registry.range<GlobalDefinition>(['definition'])) this.#add(value);
    for (const { key, value } of options.registry.range<Standing>(['standing']))
      this.#standings.set(key[1]!, value);
  }

  /** Opens what the registry has; the cluster's id is made where there is none. */
  static async open(options: DefinitionsOptions): Promise<Definitions> {
    const { registry, cluster: name } = options;
    const stored = registry.get<{ name: string; id: string }>(['cluster']);
    const id = stored?.id ?? randomUUID();
    if (stored?.name !== name) await registry.transact((tx) => tx.put(['cluster'], { name, id }));
    return new Definitions(options, id);
  }

  byId(id: string): GlobalDefinition | undefined {
    return this.#byId.get(id);
  }

  /** The definition of a node that is not deleted. */
  ofNode(name: string): GlobalDefinition | undefined {
    return this.#at(`name ${name}`);
  }

  /** The node that is defined with this UID, or is to be corrected to it. */
  withUid(uid: Uid): GlobalDefinition | undefined {
    return this.#at(`uid ${uid}`);
  }

  standing(name: string): Standing {
    return this.#standings.get(name) ?? {};
  }

  /**
   * Those of `name` that were deleted and may still be in the node's store, in the order in which they were made: as a node has one at
   * a time, that is the order in which they were deleted. Their ids have none.
   */
  leftOf(name: string): GlobalDefinition[] {
    return [...this.#byId.values()]
      .filter((each) => each.name === name && each.state === 'undefining')
      .sort((one, other) => one.at - other.at);
  }

  /** Both copies of one. Undefined where the node keeps none. */
  copyOf({ id, number, name, uid, key }: GlobalDefinition): Definition | undefined {
    if (key === null) return undefined;
    const { imagers, signer } = this.#options;
    return { id, cluster: this.cluster, number, name, uid, imagers: [...imagers], key, signer: signer.point };
  }

  /**
   * Makes an entry for a node (figure 13, step 8) in the place of the one there is, which is `undefining` then; it is
   * `defining` where the node keeps a copy, else `defined`. `disk`: the one that the copy is on. Resolves once durable. Rejects with
   * TakenError.
   */
  async begin(node: {
    name: string;
    uid: Uid;
    address: string;
    keeps: boolean;
    disk?: string | undefined;
    at: number;
  }): Promise<GlobalDefinition> {
    const { name, uid, address, keeps, disk, at } = node;
    this.#checkUid(name, uid);
    const former = this.ofNode(name);
    const entry: GlobalDefinition = {
      ...{ id: randomUUID(), number: this.#numberFor(name), name, uid, address, at },
      key: keeps ? new Uint8Array(randomBytes(KEY_BYTES)) : null,
      ...(keeps && disk !== undefined ? { disk } : {}),
      state: keeps ? 'defining' : 'defined',
    };
    const { left, gone } = this.#deletion(former);
    if (!keeps) gone.push(...this.#replacedBy(entry));
    await this.#put([...left, entry], gone, keeps ? undefined : { name });
    return entry;
  }

  /** The node has its copy (step 13). Those it had before are gone with that. Resolves once durable. */
  async finish(id: string): Promise<void> {
    const entry = this.#need(id);
    await this.#put([{ ...entry, state: 'defined' }], this.#replacedBy(entry), { name: entry.name });
  }

  /** Notes that the hardware was replaced, before the node is told. Resolves once durable. Rejects with TakenError. */
  async correcting(id: string, to: Uid): Promise<void> {
    const entry = this.#need(id);
    this.#checkUid(entry.name, to);
    await this.#put([{ ...entry, correcting: to }]);
  }

  /** The UID of both copies is this one, and nothing is left to correct. Resolves once durable. */
  async settle(id: string, uid: Uid): Promise<void> {
    const { correcting: _, ...entry } = this.#need(id);
    await this.#put([{ ...entry, uid }]);
  }

  /** Deletes the entry; its key is kept until the node has erased its copy. Resolves once durable. */
  async remove(id: string): Promise<void> {
    const { left, gone } = this.#deletion(this.#need(id));
    await this.#put(left, gone);
  }

  /** The node has no copy of it. Resolves once durable. */
  async erased(id: string): Promise<void> {
    const entry = this.#byId.get(id);
    if (entry !== undefined) await this.#put([], [entry]);
  }

  /** The node is to be defined at its next hello. Resolves once durable. Rejects with TakenError. */
  async want(name: string, number?: number): Promise<void> {
    if (number !== undefined) this.#checkNumber(name, number);
    const standing = { wanted: number === undefined ? {} : { number } };
    await this.#put([], [], { name, standing });
  }

  /** Deletes the entry of a node, as `remove`, and the node is not taken in before it is wanted. Resolves once durable. */
  async close(name: string): Promise<void> {
    const { left, gone } = this.#deletion(this.ofNode(name));
    await this.#put(left, gone, { name, standing: { closed: true } });
  }

  /**
   * What the node's hardware, or the disk that this one is on, kept before it kept this one. What the node had on other hardware and
   * on other disks may still be there.
   */
  #replacedBy({ name, uid, disk }: GlobalDefinition): GlobalDefinition[] {
    return this.leftOf(name).filter((each) =>
      each.disk === undefined ? each.uid === uid : each.disk === disk,
    );
  }

  /** What comes of an entry's deletion: one with a key is left, and the oldest of the node's goes where that is one too many. */
  #deletion(entry: GlobalDefinition | undefined): { left: GlobalDefinition[]; gone: GlobalDefinition[] } {
    if (entry === undefined) return { left: [], gone: [] };
    if (entry.key === null) return { left: [], gone: [entry] };
    const [isOnDisk, most] = [entry.disk !== undefined, entry.disk === undefined ? LEFT_KEPT : LEFT_ON_DISKS];
    const others = this.leftOf(entry.name).filter(
      ({ id, disk }) => id !== entry.id && (disk !== undefined) === isOnDisk,
    );
    return { left: [deleted(entry)], gone: others.slice(0, 1 - most) };
  }

  #at(key: string): GlobalDefinition | undefined {
    return this.#byId.get(this.#index.get(key) ?? '');
  }

  #add(entry: GlobalDefinition): void {
    this.#drop(entry.id);
    this.#byId.set(entry.id, entry);
    for (const key of keysOf(entry)) this.#index.set(key, entry.id);
  }

  #drop(id: string): void {
    const entry = this.#byId.get(id);
    if (entry === undefined) return;
    this.#byId.delete(id);
    for (const key of keysOf(entry)) if (this.#index.get(key) === id) this.#index.delete(key);
  }

  #need(id: string): GlobalDefinition {
    const entry = this.#byId.get(id);
    if (entry === undefined) throw new Error(`there is no definition ${id}`);
    return entry;
  }

  /** The one asked for, that of the definition it has, its place in the configuration, or the first that is free. */
  #numberFor(name: string): number {
    const wanted = this.standing(name).wanted?.number;
    if (wanted !== undefined) {
      this.#checkNumber(name, wanted);
      return wanted;
    }
    const had = this.ofNode(name)?.number;
    if (had !== undefined) return had;
    const place = this.#options.nodes.indexOf(name) + 1;
    if (place > 0 && this.#holderOf(place) === undefined) return place;
    let number = 1;
    while (this.#holderOf(number) !== undefined) number++;
    return number;
  }

  #checkNumber(name: string, number: number): void {
    const holder = this.#holderOf(number);
    if (holder !== undefined && holder !== name) throw new TakenError(`number ${number} is ${holder}'s`);
  }

  /** Who has a number, or is to have it. */
  #holderOf(number: number): string | undefined {
    const holder = this.#at(`number ${number}`)?.name;
    if (holder !== undefined) return holder;
    for (const [name, { wanted }] of this.#standings) if (wanted?.number === number) return name;
    return undefined;
  }

  #checkUid(name: string, uid: Uid): void {
    const other = this.#at(`uid ${uid}`);
    if (other !== undefined && other.name !== name) throw new TakenError(`UID ${uid} is ${other.name}'s`);
  }

  /** One transaction; `stands`: what a node's standing is then. What cannot be stored is as if it had not been tried. */
  async #put(
    entries: readonly GlobalDefinition[],
    gone: readonly GlobalDefinition[] = [],
    stands?: { name: string; standing?: Standing },
  ): Promise<void> {
    const touched = [...entries, ...gone].map(({ id }) => id);
    for (const id of touched) this.#drop(id);
    for (const entry of entries) this.#add(entry);
    const { registry } = this.#options;
    try {
      await registry.transact((tx) => {
        for (const { id } of gone) tx.delete(['definition', id]);
        for (const entry of entries) tx.put(['definition', entry.id], entry);
        if (stands?.standing !== undefined) tx.put(['standing', stands.name], stands.standing);
        else if (stands !== undefined) tx.delete(['standing', stands.name]);
      });
    } catch (error) {
      for (const id of touched) {
        this.#drop(id);
        const stored = registry.get<GlobalDefinition>(['definition', id]);
        if (stored !== undefined) this.#add(stored);
      }
      throw error;
    }
    if (stands?.standing !== undefined) this.#standings.set(stands.name, stands.standing);
    else if (stands !== undefined) this.#standings.delete(stands.name);
  }
}

function deleted({ correcting: _, ...entry }: GlobalDefinition): GlobalDefinition {
  return { ...entry, state: 'undefining' };
}

/** What nobody else may have while it is not deleted. */
function keysOf({ name, uid, correcting, number, state }: GlobalDefinition): string[] {
  if (state === 'undefining') return [];
  const uids = [`uid ${uid}`, ...(correcting === undefined ? [] : [`uid ${correcting}`])];
  return [`name ${name}`, `number ${number}`, ...uids];
}
