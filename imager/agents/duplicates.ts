/**
 * Nodes with two agents: both have the node's key, a copy of its disk or store mostly, and take each other's place for as long as
 * both are there. A spell of that is one thing to tell, however often they do.
 */
import type { DuplicateView } from '../model/views.ts';

/** A replaced agent is back after ten minutes at most (agent/core/backoff.ts): after three times that it is over. */
const SPELL_MS = 30 * 60_000;
/** Of a spell: two as a rule. */
const MOST_ADDRESSES = 8;

export class Duplicates {
  readonly #spells = new Map<string, DuplicateView>();

  /**
   * An agent at `address` has taken the place of one at `former`, which is alive; `at`: milliseconds since the epoch. True where a
   * spell begins with that.
   */
  note(node: string, former: string, address: string, at: number): boolean {
    const spell = this.of(node, at);
    const addresses = [...new Set([...(spell?.addresses ?? []), former, address])].slice(0, MOST_ADDRESSES);
    this.#spells.set(node, { addresses, since: spell?.since ?? at, at });
    return spell === null;
  }

  /** The node has a new key, or none any more: both agents come with the former one no longer. */
  settle(node: string): void {
    this.#spells.delete(node);
  }

  /** Null where there is none at `now`. */
  of(node: string, now: number): DuplicateView | null {
    const spell = this.#spells.get(node);
    return spell === undefined || now - spell.at > SPELL_MS ? null : spell;
  }
}
