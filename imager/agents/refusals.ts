/** Who was not let in as a node, or from its address: of each node the last few, since this imager started. */
import type { RefusalView } from '../model/views.ts';

/** Of a node. Whoever is in its network can make more of them. */
const KEPT = 8;

export class Refusals {
  /** By node, the latest last. */
  readonly #ofNode = new Map<string, RefusalView[]>();

  /** `at`: milliseconds since the epoch. */
  note(node: string, refusal: Omit<RefusalView, 'count' | 'since' | 'at'>, at: number): void {
    const all = this.#ofNode.get(node) ?? [];
    const same = (each: RefusalView) =>
      each.reason === refusal.reason && each.address === refusal.address && each.as === refusal.as;
    const { count, since } = all.find(same) ?? { count: 0, since: at };
    const others = all.filter((each) => !same(each));
    this.#ofNode.set(node, [...others, { ...refusal, count: count + 1, since, at }].slice(-KEPT));
  }

  /** The latest first. */
  of(node: string): RefusalView[] {
    return (this.#ofNode.get(node) ?? []).toReversed();
  }
}
