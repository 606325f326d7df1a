/** Where nodes are: their reserved addresses, what is leased to them, and what their adapters are given. */
import type { NodeConfig } from '../model/config.ts';
import { isAdapterAddress, type NodeIndex } from '../model/nodes.ts';

export interface AddressSources {
  nodes: NodeIndex;
  /** Where the node last said hello from. */
  lastOf(node: string): string | undefined;
  /** The node an address was last given to. */
  holderOf(address: string): NodeConfig | undefined;
}

export interface NodeAddresses {
  /** Where its firmware has it: its reserved address, else the one it last said hello from, while that is leased to it. */
  addressOf(node: string): string | undefined;
  /**
   * Whether the node has this address: it is reserved for it, given to one of its adapters, or, where none is reserved,
   * was last leased to it. It need not have said hello from there: its disks come before that.
   */
  isAt(node: string, address: string): boolean;
  /** One address for all those of a node whose adapters are given some; any other stands for itself. */
  clientAt(address: string): string;
}

export function nodeAddresses({ nodes, lastOf, holderOf }: AddressSources): NodeAddresses {
  return {
    addressOf(name) {
      const node = nodes.byName(name);
      const last = lastOf(name);
      if (node?.address !== undefined) return node.address;
      return node !== undefined && last !== undefined && holderOf(last)?.name === name ? last : undefined;
    },
    isAt(name, address) {
      const node = nodes.byName(name);
      if (node === undefined) return false;
      if (isAdapterAddress(node, address)) return true;
      return node.address === undefined ? holderOf(address)?.name === name : node.address === address;
    },
    clientAt(address) {
      const node = nodes.byAddress(address) ?? holderOf(address);
      const set = node?.adapters?.find(({ network }) => network !== undefined)?.network?.address;
      return set ?? address;
    },
  };
}
