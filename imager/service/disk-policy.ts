/** Who may open which disk. Pure. */
import { hostFault } from '../model/ipv4.ts';

export interface DiskPolicyWorld {
  network: { address: string; prefix: number };
  /** Names of the nodes whose boot pointer names the disk. */
  ownersOf(disk: string): readonly string[];
  /** Where a node is: its reserved address, else the one it last said hello from. */
  addressOf(node: string): string | undefined;
}

/**
 * True, or why not. A disk that a node's boot pointer names, as that node last reported or confirmed it, is opened
 * from that node's address alone. All others, which no node has claimed yet, by anybody on the nodes' network; so
 * do base images, which nobody can change. The imager itself may open everything.
 */
export function mayOpen(disk: string, client: { address: string }, world: DiskPolicyWorld): true | string {
  const { address, prefix } = world.network;
  if (client.address === address) return true;
  if (hostFault(client.address, address, prefix) !== undefined)
    return `${client.address} is outside the nodes' network ${address}/${prefix}`;
  const owners = world.ownersOf(disk);
  if (owners.length === 0 || owners.some((node) => world.addressOf(node) === client.address)) return true;
  return `disk "${disk}" is ${owners.join(' and ')}'s: the boot pointer there names it`;
}
