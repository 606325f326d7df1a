/** What the DHCP server is told: its network, its pool, who has which address, who boots what. */
import { ipv4ToNumber, isIpv4, numberToIpv4, prefixMask } from '../../agent/protocol/ipv4.ts';

export interface DhcpConfig {
  /** Address of the interface served, also the server identifier. */
  serverAddress: string;
  /** Mask length of the network. */
  prefix: number;
  router?: string;
  dns?: string[];
  /** Addresses for clients without a reservation, both ends included. Without it they are not answered. */
  pool?: { from: string; to: string };
  /** Longest lease given, seconds. */
  leaseSeconds: number;
  /** What a client boots, or why boot firmware gets an address only; undefined: who is none and need not. */
  bootFile(client: BootClient): BootFileChoice | NoBootFile | undefined;
}

export interface BootClient {
  mac: string;
  /** From option 97. */
  uid?: string;
  /** Option 93. */
  arch?: number;
  /** Option 77, e.g. 'iPXE'. */
  userClass?: string;
  /** Option 60, e.g. 'PXEClient:Arch:00007:UNDI:003016'. */
  vendorClass?: string;
  /** Name of the node it is. */
  node?: string;
}

export interface BootFileChoice {
  /** Path for TFTP, or an absolute URL. Clients of class HTTPClient get nothing but absolute URLs. */
  file: string;
}

export interface NoBootFile {
  /** A sentence for whoever asks why the client did not boot. */
  why: string;
}

/** What the configuration says of a node. */
export interface Reservation {
  node: string;
  /** Its own address; without one it has its address from the pool. */
  address?: string;
  hostname?: string;
}

/** Who is which node. Asked for each message; MACs are lower case with colons. */
export interface Reservations {
  byMac(mac: string): Reservation | undefined;
  byUid(uid: string): Reservation | undefined;
  /** The node that has `address` for its own. */
  byAddress(address: string): Reservation | undefined;
  byNode(node: string): Reservation | undefined;
}

/** Longest pool: a scan of it has to stay short. */
const MAX_POOL = 65_536;

/** The network of a configuration, in numbers (unsigned 32-bit). */
export interface Network {
  mask: number;
  /** Network address and directed broadcast: no host has them. */
  first: number;
  last: number;
  pool: { from: number; to: number } | undefined;
  /** Addresses of the network no client may have. */
  taken: ReadonlySet<string>;
}

/** Works out the network. Throws RangeError with what is wrong with the configuration. */
export function networkOf(config: DhcpConfig): Network {
  const { serverAddress, prefix, router, dns = [], leaseSeconds } = config;
  if (!Number.isInteger(prefix) || prefix < 1 || prefix > 30)
    throw new RangeError(`DHCP prefix ${prefix} is not between 1 and 30`);
  if (!Number.isInteger(leaseSeconds) || leaseSeconds < 1 || leaseSeconds > 0xfffffffe)
    throw new RangeError(`DHCP lease of ${leaseSeconds} seconds is not a positive 32-bit number`);
  const mask = prefixMask(prefix);
  const first = (ipv4ToNumber(serverAddress) & mask) >>> 0;
  const last = (first | ~mask) >>> 0;
  for (const address of [...(router === undefined ? [] : [router]), ...dns])
    if (!isIpv4(address)) throw new RangeError(`DHCP router or name server "${address}" is no address`);
  const pool = config.pool && {
    from: ipv4ToNumber(config.pool.from),
    to: ipv4ToNumber(config.pool.to),
  };
  if (pool && !(first < pool.from && pool.from <= pool.to && pool.to < last))
    throw new RangeError(
      `DHCP pool ${config.pool?.from} to ${config.pool?.to} is not a range of hosts in ${numberToIpv4(first)}/${prefix}`,
    );
  if (pool && pool.to - pool.from >= MAX_POOL)
    throw new RangeError(`DHCP pool of ${pool.to - pool.from + 1} addresses, at most ${MAX_POOL}`);
  return {
    mask,
    first,
    last,
    pool,
    taken: new Set([serverAddress, ...(router === undefined ? [] : [router]), ...dns]),
  };
}

/** True for an address a host of the network can have. */
export function isHostOf(network: Network, address: string): boolean {
  const number = ipv4ToNumber(address);
  return number > network.first && number < network.last;
}
