/** Which of a node's adapters are changed, and from what to what, as its plan says. Pure; agent/linux/network.ts does it. */
import type { AdapterSetting, Ipv4Settings } from '../protocol/adapter-setting.ts';
import { ipv4ToNumber, prefixMask } from '../protocol/ipv4.ts';

/** An adapter as it is or is to be. */
export interface AdapterState {
  /** The kernel's. */
  name: string;
  /** Lower case, with colons. */
  mac: string;
  /** Undefined where it has no address. */
  network?: Ipv4Settings | undefined;
}

export interface AdapterChange {
  from: AdapterState;
  to: AdapterState;
}

/** What became of a plan's settings. */
export interface NetworkOutcome {
  /** Adapters that are now as the plan says. */
  set: AdapterState[];
  /** What is not, each with why. */
  faults: string[];
}

/**
 * The changes that lead from `present` to `settings`, those that take a default route away first, and what cannot be done.
 * `booted`: the adapter that the node booted over. Its gateway stays where it is in the network of the new address and no other is named.
 */
export function adapterChanges(
  settings: readonly AdapterSetting[],
  present: readonly { name: string; mac: string }[],
  booted: AdapterState,
): { changes: AdapterChange[]; faults: string[] } {
  const changes = new Map<string, AdapterChange>();
  const faults: string[] = [];
  for (const setting of settings) {
    const found =
      setting.mac === undefined || setting.mac === booted.mac
        ? booted
        : present.find(({ mac }) => mac === setting.mac);
    if (found === undefined) faults.push(`no adapter has the address ${setting.mac}`);
    else if (changes.has(found.name)) faults.push(`${found.name} is named twice`);
    else changes.set(found.name, { from: found, to: stateOf(found, setting) });
  }
  const routed = [...changes.values()].find(({ to }) => to.network?.gateway !== undefined)?.to.name;
  if (routed !== undefined && routed !== booted.name) {
    const { from, to } = changes.get(booted.name) ?? { from: booted, to: booted };
    if (to.network?.gateway !== undefined)
      changes.set(booted.name, { from, to: { ...to, network: withoutGateway(to.network) } });
  }
  return { changes: routeLast([...changes.values()]), faults };
}

/** In the order in which no two adapters have a default route at a time. */
export function routeLast(changes: readonly AdapterChange[]): AdapterChange[] {
  const gives = ({ to }: AdapterChange) => Number(to.network?.gateway !== undefined);
  return [...changes].sort((one, other) => gives(one) - gives(other));
}

/** Whether the node, which had a default route and was to have one, has none where no more than `done` of `changes` was made. */
export function isRouteLost(changes: readonly AdapterChange[], done: readonly AdapterChange[]): boolean {
  const routes = (states: AdapterState[]) => states.some(({ network }) => network?.gateway !== undefined);
  const present = changes.map((change) => (done.includes(change) ? change.to : change.from));
  return routes(changes.map(({ from }) => from)) && routes(changes.map(({ to }) => to)) && !routes(present);
}

/** Whether anything is changed at all. */
export function isChange({ from, to }: AdapterChange): boolean {
  return from.mac !== to.mac || !isSameNetwork(from.network, to.network);
}

export function isSameNetwork(one: Ipv4Settings | undefined, other: Ipv4Settings | undefined): boolean {
  return one?.address === other?.address && one?.prefix === other?.prefix && one?.gateway === other?.gateway;
}

function stateOf(from: AdapterState, { setMac, network }: AdapterSetting): AdapterState {
  return {
    name: from.name,
    mac: setMac ?? from.mac,
    network: network === undefined ? from.network : withGateway(network, from.network?.gateway),
  };
}

function withGateway(network: Ipv4Settings, former: string | undefined): Ipv4Settings {
  if (network.gateway !== undefined || former === undefined) return network;
  const base = (address: string) => (ipv4ToNumber(address) & prefixMask(network.prefix)) >>> 0;
  return base(former) === base(network.address) ? { ...network, gateway: former } : network;
}

function withoutGateway({ address, prefix }: Ipv4Settings): Ipv4Settings {
  return { address, prefix };
}
