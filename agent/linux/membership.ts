/**
 * Who this node is in its cluster: the agent's side of define, join and their repairs (seed 002, figures 11 to 15) over its
 * local store. The imager judges; here is only done what it asks, once and for all, and said what there is.
 */
import type { Definition, LocalContent, LocalStore } from '../protocol/definition.ts';
import { type MembershipRequest, toldOf } from '../protocol/membership.ts';
import type { AgentMessage, Hello } from '../protocol/messages.ts';
import { parseUid, type Uid } from '../protocol/uid.ts';
import { withAdvice } from './erase-advice.ts';

export class Membership {
  readonly uid: Uid;
  readonly #tell: (line: string) => void;
  readonly #place: string | undefined;
  #store: LocalStore | undefined;
  #disk: string | undefined;
  /** What was read of the store: chips are slow, the disk may hang on the very imager that is away, and nobody else writes. */
  #content: LocalContent | undefined;

  /**
   * `uid`: the original, of the hardware. `store`: undefined where the node has nowhere to keep a definition, or not yet. `tell` is
   * told what an imager has changed of it, in words. `place`: options by which `agent local` finds the store, where it does not by itself.
   */
  constructor(
    uid: Uid,
    store: LocalStore | undefined,
    { tell = () => {}, place }: { tell?: (line: string) => void; place?: string } = {},
  ) {
    this.uid = uid;
    this.#store = store;
    this.#tell = tell;
    this.#place = place;
  }

  /** From here on the definition is in `store`, which is on the virtual disk `disk`. Throws where the store is damaged. */
  keepOn(disk: string, store: LocalStore): void {
    this.#content = withAdvice(this.#place, () => store.read());
    this.#disk = disk;
    this.#store = store;
  }

  /** What a hello says of it. Throws where the store is damaged. */
  told(): Pick<Hello, 'uid' | 'local' | 'keeps' | 'keptOn'> {
    const current = this.current();
    return {
      uid: this.uid,
      local: current === undefined ? null : toldOf(current),
      keeps: this.#store !== undefined,
      ...(this.#disk === undefined ? {} : { keptOn: this.#disk }),
    };
  }

  /** The definition of the cluster the node is online in, or was last. Throws where the store is damaged. */
  current(): Definition | undefined {
    return currentOf(this.kept());
  }

  /** All that the node keeps; undefined where it has nowhere to. Throws where the store is damaged. */
  kept(): LocalContent | undefined {
    const store = this.#store;
    this.#content ??= store && withAdvice(this.#place, () => store.read());
    return this.#content;
  }

  /** Does what an imager asks and gives the answer. Throws where that cannot be done: nothing has changed then. */
  answer(message: MembershipRequest): AgentMessage {
    const { request } = message;
    const done: AgentMessage = { type: 'done', request };
    if (message.type === 'identify') {
      const local = this.#of(({ cluster }) => cluster.id === message.cluster);
      return {
        type: 'identified',
        request,
        uid: this.uid,
        local: local === undefined ? null : toldOf(local),
      };
    }
    const store = this.#store;
    if (store === undefined) throw new Error('this node has nowhere to keep a definition');
    try {
      this.#change(store, message);
    } finally {
      this.#content = undefined;
      // Now, while the imager is there.
      this.kept();
    }
    return done;
  }

  #change(store: LocalStore, message: Exclude<MembershipRequest, { type: 'identify' }>): void {
    switch (message.type) {
      case 'commit': {
        const { definition } = message;
        if (definition.uid !== this.uid) throw new Error(`this node is ${this.uid}, not ${definition.uid}`);
        const { id, cluster, name, number } = definition;
        const known = this.#of((local) => local.id === id) !== undefined;
        store.define(definition);
        join(store, cluster.id);
        if (!known) this.#tell(`defined in cluster ${cluster.name} as ${name}, number ${number}`);
        return;
      }
      case 'erase': {
        const local = this.#of(({ id }) => id === message.definition);
        if (local === undefined) return;
        store.erase(local.cluster.id);
        this.#tell(
          `its definition in cluster ${local.cluster.name}, as ${local.name}, was ended by the imager`,
        );
        return;
      }
      case 'correct': {
        const local = this.#of(({ id }) => id === message.definition);
        if (local === undefined) throw new Error(`there is no definition ${message.definition} here`);
        if (parseUid(message.to) !== this.uid) throw new Error(`this node is ${this.uid}, not ${message.to}`);
        if (local.uid === this.uid) return;
        store.define({ ...local, uid: this.uid });
        this.#tell(
          `its definition in cluster ${local.cluster.name} says ${this.uid} now, in the place of ${local.uid}`,
        );
        return;
      }
    }
  }

  #of(is: (definition: Definition) => boolean): Definition | undefined {
    return this.kept()?.definitions.find(is);
  }
}

/** The definition of the cluster a node is online in, or was last. */
export function currentOf(kept: LocalContent | undefined): Definition | undefined {
  return kept?.definitions.find(({ cluster }) => cluster.id === kept.current);
}

/** A node that is online nowhere is so where it was just defined. */
function join(store: LocalStore, cluster: string): void {
  const { current, target } = store.read();
  if (current === null) store.point({ current: cluster, target });
}
