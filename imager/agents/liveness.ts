/**
 * Who is alive, and what of it: the state of each node's adapters and of their paths to the imager, inferred from heartbeats
 * that come, or do not. Pure over time: times are milliseconds and given.
 */
import type { Adapter } from '../../agent/protocol/heartbeat.ts';
import type { AdapterState, AdapterView, Liveness as View } from '../model/views.ts';

/** What has changed, to be told once. */
export type Change =
  | { kind: 'adapter'; node: string; adapter: AdapterView; was: AdapterState | null }
  /** Nothing was heard of the node for too long. */
  | { kind: 'lost'; node: string; silentMs: number };

interface NodeState {
  heardAt: number;
  lost: boolean;
  adapters: Map<string, { view: AdapterView; quiet: boolean }>;
}

/** The names are the node's, and past so many those that are gone are forgotten. */
const MAX_KNOWN = 32;

export class Liveness {
  readonly #lostMs: number;
  readonly #nodes = new Map<string, NodeState>();

  /** `lostMs`: a node that is not heard for so long is lost. */
  constructor(lostMs: number) {
    this.#lostMs = lostMs;
  }

  /** The node said something else than a heartbeat. */
  heard(node: string, at: number): void {
    const state = this.#nodes.get(node);
    this.#nodes.set(node, { adapters: state?.adapters ?? new Map(), heardAt: at, lost: false });
  }

  /** A heartbeat; gives which adapters are not as they were. One that was up from the first is no news. */
  heartbeat(node: string, adapters: readonly Adapter[], at: number): Change[] {
    this.heard(node, at);
    const state = this.#nodes.get(node)!;
    const before = state.adapters;
    const known = before.size > 0;
    state.adapters = new Map();
    const changes: Change[] = [];
    const take = (view: AdapterView, quiet: boolean) => {
      const was = before.get(view.name)?.view.state ?? null;
      state.adapters.set(view.name, { view, quiet });
      if (view.state !== was && (known || view.state !== 'up'))
        changes.push({ kind: 'adapter', node, adapter: view, was });
    };
    for (const adapter of adapters) {
      const quiet = adapter.received.packets === 0;
      take(viewOf(adapter, stateOf(adapter, quiet && before.get(adapter.name)?.quiet === true), at), quiet);
    }
    for (const { view } of before.values())
      if (!state.adapters.has(view.name) && state.adapters.size < MAX_KNOWN)
        take(view.state === 'gone' ? view : { ...view, state: 'gone', at }, true);
    return changes;
  }

  /** Who is lost and was not when this was asked last. */
  check(at: number): Change[] {
    return [...this.#nodes].flatMap(([node, state]) => {
      if (state.lost || at - state.heardAt < this.#lostMs) return [];
      state.lost = true;
      return [{ kind: 'lost' as const, node, silentMs: at - state.heardAt }];
    });
  }

  /** What is known of a node since this imager started. */
  view(node: string): View {
    const state = this.#nodes.get(node);
    if (state === undefined) return { state: 'unheard', heardAt: null, adapters: [] };
    return {
      state: state.lost ? 'lost' : 'alive',
      heardAt: state.heardAt,
      adapters: [...state.adapters.values()].map(({ view }) =>
        state.lost && view.state !== 'gone' ? { ...view, state: 'unknown', was: view.state } : view,
      ),
    };
  }
}

/** `silent`: nothing was received by this heartbeat and the one before. */
function stateOf({ carrier, path }: Adapter, silent: boolean): AdapterState {
  if (!carrier) return 'no-carrier';
  if (path === 'down') return 'path-down';
  return path === 'untried' && silent ? 'silent' : 'up';
}

function viewOf(adapter: Adapter, state: AdapterState, at: number): AdapterView {
  const { name, mac, address, speed, roundTrip, received, sent } = adapter;
  return { name, mac, address, state, speed, roundTrip, errors: received.errors + sent.errors, at };
}
