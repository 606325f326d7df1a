/** The networks served, worked out in numbers (unsigned 32-bit), and which of them a message is about. */
import { ipv4ToNumber, isIpv4, numberToIpv4, prefixMask } from '../../agent/protocol/ipv4.ts';
import type { DhcpMessage } from './codec.ts';
import type { DhcpConfig, SubnetSettings } from './config.ts';
import { UNSPECIFIED } from './ipv4.ts';
import type { ClientOptions } from './options/client.ts';
import { MESSAGE_TYPE } from './options/codes.ts';

/** Most pool addresses of one network: all of them are indexed. */
const MAX_POOL = 65_536;

export interface Subnet {
  /** `10.77.0.0/24` */
  name: string;
  mask: number;
  /** Network address and directed broadcast: no host has them. */
  first: number;
  last: number;
  settings: SubnetSettings;
  /** Pool addresses that can be given to clients, ascending. Worked out when first asked for. */
  pool(): Uint32Array;
}

export interface Networks {
  /** The server's own. */
  own: Subnet;
  all: readonly Subnet[];
  /** By circuit id of option 82. */
  byCircuit: ReadonlyMap<string, Subnet>;
}

/**
 * Works out the networks of a configuration; addresses that `isReserved` are in no pool. Throws RangeError with what is
 * wrong with the configuration.
 */
export function networksOf(config: DhcpConfig, isReserved: (address: string) => boolean): Networks {
  const { serverAddress } = config;
  const own = subnetFrom(serverAddress, config, serverAddress, isReserved);
  const byCircuit = new Map<string, Subnet>();
  const relayed = (config.subnets ?? []).map((settings) => {
    const subnet = subnetFrom(settings.network, settings, serverAddress, isReserved);
    for (const circuit of settings.circuits ?? []) byCircuit.set(circuit, subnet);
    return subnet;
  });
  return { own, all: [own, ...relayed], byCircuit };
}

function subnetFrom(
  base: string,
  settings: SubnetSettings,
  serverAddress: string,
  isReserved: (address: string) => boolean,
): Subnet {
  const { prefix, router, dns = [], leaseSeconds, pools = [] } = settings;
  if (!Number.isInteger(prefix) || prefix < 1 || prefix > 30)
    throw new RangeError(`DHCP prefix ${prefix} is not between 1 and 30`);
  if (!Number.isInteger(leaseSeconds) || leaseSeconds < 1 || leaseSeconds > 0xfffffffe)
    throw new RangeError(`DHCP lease of ${leaseSeconds} seconds is not a positive 32-bit number`);
  const mask = prefixMask(prefix);
  const first = (ipv4ToNumber(base) & mask) >>> 0;
  const last = (first | ~mask) >>> 0;
  const name = `${numberToIpv4(first)}/${prefix}`;
  for (const address of [...(router === undefined ? [] : [router]), ...dns])
    if (!isIpv4(address)) throw new RangeError(`DHCP router or name server "${address}" is no address`);
  const ranges = pools.map(({ from, to }) => ({ from: ipv4ToNumber(from), to: ipv4ToNumber(to) }));
  ranges.forEach(({ from, to }, index) => {
    if (!(first < from && from <= to && to < last))
      throw new RangeError(
        `DHCP pool ${pools[index]?.from} to ${pools[index]?.to} is not a range of hosts in ${name}`,
      );
  });
  const size = ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  if (size > MAX_POOL) throw new RangeError(`DHCP pools of ${size} addresses, at most ${MAX_POOL}`);
  const taken = new Set([serverAddress, router, ...dns]);
  let pool: Uint32Array | undefined;
  const work = () => {
    const numbers = new Set<number>();
    for (const { from, to } of ranges) for (let number = from; number <= to; number++) numbers.add(number);
    const free = [...numbers].filter((number) => {
      const address = numberToIpv4(number);
      return !taken.has(address) && !isReserved(address);
    });
    return Uint32Array.from(free).sort();
  };
  return {
    name,
    mask,
    first,
    last,
    settings,
    pool: () => {
      pool ??= work();
      return pool;
    },
  };
}

/** True for an address a host of the network can have. */
export function isHostOf(subnet: Subnet, address: string): boolean {
  const number = ipv4ToNumber(address);
  return number > subnet.first && number < subnet.last;
}

/** True for an address of the network's pool that clients can be given. */
export function isInPool(subnet: Subnet, address: string): boolean {
  return indexIn(subnet.pool(), ipv4ToNumber(address)) !== undefined;
}

/** Where `number` is in `sorted` (ascending). */
export function indexIn(sorted: Uint32Array, number: number): number | undefined {
  // Most pools are one range without gaps.
  const guess = number - (sorted[0] ?? 0);
  if (sorted[guess] === number) return guess;
  let low = 0;
  let high = sorted.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = sorted[middle]!;
    if (found === number) return middle;
    if (found < number) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

/** The network `address` is of, its first and last address included. */
export function networkContaining({ all }: Networks, address: string): Subnet | undefined {
  const number = ipv4ToNumber(address);
  return all.find(({ first, last }) => first <= number && number <= last);
}

/**
 * The network the sender of a message is in; undefined where it is none of ours. In this order: what a relay agent says
 * of the link (RFC 3527), a circuit the configuration puts somewhere, what the client says (RFC 3011), the relay agent's
 * address (RFC 2131 section 4.3.1), the address that a renewing client has, else the server's own network.
 */
export function networkOfSender(
  { giaddr, ciaddr }: DhcpMessage,
  { messageType, relay, subnetSelection }: ClientOptions,
  networks: Networks,
): Subnet | undefined {
  const relayed = giaddr !== UNSPECIFIED;
  if (relayed && relay.linkSelection !== undefined) return networkContaining(networks, relay.linkSelection);
  const circuit = relay.circuit === undefined ? undefined : networks.byCircuit.get(relay.circuit);
  if (circuit !== undefined) return circuit;
  if (subnetSelection !== undefined) return networkContaining(networks, subnetSelection);
  if (relayed) return networkContaining(networks, giaddr);
  // Only these two may come by unicast from a network further off; in a DISCOVER ciaddr means nothing.
  const comesByUnicast = messageType === MESSAGE_TYPE.request || messageType === MESSAGE_TYPE.inform;
  const usesAddress = comesByUnicast && ciaddr !== UNSPECIFIED;
  return (usesAddress ? networkContaining(networks, ciaddr) : undefined) ?? networks.own;
}
