/** Who may open which disk. Pure. */
import { hostFault } from '../model/ipv4.ts';

export interface DiskPolicyWorld {
  /** The nodes' network, by the imager's address in it. */
  network: { address: string; prefix: number };
  /** Networks behind relay agents. */
  subnets: readonly { network: string; prefix: number }[];
  /** The node the disk belongs to. */
  ownerOf(disk: string): string | undefined;
  /** The node of that name or UID. */
  nodeNamed(identity: string): string | undefined;
  /** Whether the node has this address: by the configuration, or by a lease where none is reserved for it. */
  isAt(node: string, address: string): boolean;
}

/**
 * True, or why not. A client that proved by TLS which node it is has that node's disks, wherever it is. Without, a
 * disk that belongs to a node, whose boot pointer was the first to name it or that was to be flashed with it, is opened
 * from that node's addresses alone. All others, which no node has claimed yet, by anybody on the nodes' networks; so
 * do base images, which nobody can change. The imager itself may open everything.
 */
export function mayOpen(
  disk: string,
  client: { address: string; identity?: string },
  world: DiskPolicyWorld,
): true | string {
  const { address, prefix } = world.network;
  const owner = world.ownerOf(disk);
  const node = client.identity === undefined ? undefined : world.nodeNamed(client.identity);
  if (node !== undefined) return owner === undefined || owner === node ? true : notTheirs(disk, owner);
  if (client.address === address) return true;
  if (client.identity !== undefined) return `${client.identity} is neither name nor UID of a node`;
  const networks = [
    world.network,
    ...world.subnets.map(({ network, prefix }) => ({ address: network, prefix })),
  ];
  if (networks.every((each) => hostFault(client.address, each.address, each.prefix) !== undefined))
    return `${client.address} is outside the nodes' network ${address}/${prefix}${world.subnets.length > 0 ? ' and all subnets' : ''}`;
  return owner === undefined || world.isAt(owner, client.address) ? true : notTheirs(disk, owner);
}

/**
 * Why a disk is not to be removed though nobody has it, undefined where nothing is against it. `owner`: the node it
 * belongs to; `keyOf`: the one that is defined with its key there.
 */
export function claimOn(
  disk: string,
  { owner, keyOf }: { owner: string | undefined; keyOf: string | undefined },
): string | undefined {
  if (owner !== undefined)
    return `${notTheirs(disk, owner)}; flash ${owner} with another disk first, or take it out of the configuration`;
  if (keyOf !== undefined)
    return `disk "${disk}" has the key of ${keyOf}, which has not come up from another disk yet: let it, or undefine it first`;
  return undefined;
}

function notTheirs(disk: string, owner: string): string {
  return `disk "${disk}" is ${owner}'s: its boot pointer names it, or a flash with it did not end`;
}
