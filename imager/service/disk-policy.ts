/** Who may open which disk. Pure. */
import { hostFault } from '../model/ipv4.ts';

export interface DiskPolicyWorld {
  /** The nodes' network, by the imager's address in it. */
  network: { address: string; prefix: number };
  /** Networks behind relay agents. */
  subnets: readonly { network: string; prefix: number }[];
  /** The node the disk belongs to. */
  ownerOf(disk: string): string | undefined;
  /** Where a node is: its reserved address, else the one it last said hello from, while that is leased to it. */
  addressOf(node: string): string | undefined;
}

/**
 * True, or why not. A disk that belongs to a node, whose boot pointer was the first to name it, is opened from that
 * node's address alone. All others, which no node has claimed yet, by anybody on the nodes' networks; so
 * do base images, which nobody can change. The imager itself may open everything.
 */
export function mayOpen(disk: string, client: { address: string }, world: DiskPolicyWorld): true | string {
  const { address, prefix } = world.network;
  if (client.address === address) return true;
  const networks = [
    world.network,
    ...world.subnets.map(({ network, prefix }) => ({ address: network, prefix })),
  ];
  if (networks.every((each) => hostFault(client.address, each.address, each.prefix) !== undefined))
    return `${client.address} is outside the nodes' network ${address}/${prefix}${world.subnets.length > 0 ? ' and all subnets' : ''}`;
  const owner = world.ownerOf(disk);
  if (owner === undefined || world.addressOf(owner) === client.address) return true;
  return `disk "${disk}" is ${owner}'s: the boot pointer there names it`;
}
