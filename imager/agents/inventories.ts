/**
 * What each node consists of, as its agent told at its joins: what it is, and what it was before that last changed. Kept in
 * the registry under ['node', NAME, 'resources'].
 */
import type { StepDetail } from '../../agent/protocol/messages.ts';
import type { ResourcesMessage } from '../../agent/protocol/resources.ts';
import {
  countsOf,
  diffLines,
  diffOf,
  type Inventory,
  isEmpty,
  type ResourcesView,
} from '../model/inventory.ts';
import type { Registry } from '../registry/registry.ts';

interface Stored {
  last: Inventory;
  previous: Inventory | null;
}

const SUMMARY_KEPT = 512;

export class Inventories {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  of(node: string): ResourcesView {
    const { last = null, previous = null } = this.#registry.get<Stored>(keyOf(node)) ?? {};
    const diff = last === null || previous === null ? null : diffOf(previous.resources, last.resources);
    return { node, last, previous, diff };
  }

  /**
   * Notes what a node has told. Resolves once durable, with what an event should say of it; undefined where nothing has
   * changed.
   */
  async note(
    node: string,
    bootId: string,
    { resources, faults }: ResourcesMessage,
    at: number,
  ): Promise<StepDetail | undefined> {
    return this.#registry.transact((tx) => {
      const stored = tx.get<Stored>(keyOf(node));
      const present: Inventory = { since: at, seen: at, bootId, resources, faults };
      if (stored === undefined) {
        tx.put(keyOf(node), { last: present, previous: null } satisfies Stored);
        return { first: true, found: resources.length, summary: countsOf(resources) };
      }
      const { last, previous } = stored;
      const diff = diffOf(last.resources, resources);
      const unchanged = isEmpty(diff);
      tx.put(
        keyOf(node),
        (unchanged
          ? { last: { ...last, seen: at, faults }, previous }
          : { last: present, previous: last }) satisfies Stored,
      );
      if (unchanged) return undefined;
      return {
        added: diff.added.length,
        removed: diff.removed.length,
        changed: diff.changed.length,
        summary: diffLines(diff).join('; ').slice(0, SUMMARY_KEPT),
      };
    });
  }
}

function keyOf(node: string): string[] {
  return ['node', node, 'resources'];
}
