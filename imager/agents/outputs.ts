/**
 * What scripts left on nodes, in the registry under ['output', NODE, SCRIPT]. Of a node the outputs of one deployment, its last:
 * so they are as many as a plan has scripts, and the oldest go where they are long.
 */
import type { ScriptOutput } from '../../agent/protocol/output.ts';
import type { OutputView } from '../model/views.ts';
import type { Entry, Registry } from '../registry/registry.ts';

/** What a node may make the imager keep. */
const MAX_SCRIPTS = 256;
const MAX_LENGTH = 1024 * 1024;

export class Outputs {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Keeps it in the place of the script's former one; `at`: milliseconds since the epoch. Resolves once durable. */
  async keep(node: string, output: ScriptOutput, at: number): Promise<void> {
    // A node sends each again in each boot: the imager may have been away.
    const known = this.#registry.get<OutputView>(['output', node, output.script]);
    if (known !== undefined && isSame(known, output)) return;
    await this.#registry.transact((tx) => {
      let [count, length] = [1, output.output.length];
      const others = tx
        .range<OutputView>(['output', node])
        .filter(({ value }) => value.script !== output.script);
      for (const { key, value } of newestFirst(others)) {
        count += 1;
        length += value.output.length;
        if (value.deployment !== output.deployment || count > MAX_SCRIPTS || length > MAX_LENGTH)
          tx.delete(key);
      }
      tx.put(['output', node, output.script], { ...output, at } satisfies OutputView);
    });
  }

  /** Those of the node's last deployment, in the order in which they came. */
  of(node: string): OutputView[] {
    return newestFirst(this.#registry.range<OutputView>(['output', node]))
      .reverse()
      .map(({ value }) => value);
  }
}

function newestFirst(entries: readonly Entry<OutputView>[]): Entry<OutputView>[] {
  return entries.toSorted((a, b) => b.revision - a.revision);
}

/** Of the same run. */
function isSame(a: ScriptOutput, b: ScriptOutput): boolean {
  return a.deployment === b.deployment && a.bootId === b.bootId && a.began === b.began;
}
