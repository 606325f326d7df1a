/** The nodes of a configuration, found by whatever the network says of them. */
import type { AdapterSetting } from '../../agent/protocol/adapter-setting.ts';
import type { NodeConfig } from './config.ts';

export class NodeIndex {
  readonly all: readonly NodeConfig[];
  readonly #by = new Map<string, NodeConfig>();

  constructor(nodes: readonly NodeConfig[]) {
    this.all = nodes;
    for (const node of nodes) {
      for (const field of ['name', 'mac', 'uid', 'clientId', 'circuit', 'serial', 'address'] as const)
        if (node[field] !== undefined) this.#by.set(`${field} ${node[field]}`, node);
      for (const { setMac, network } of node.adapters ?? []) {
        if (setMac !== undefined) this.#by.set(`mac ${setMac}`, node);
        if (network !== undefined) this.#by.set(`address ${network.address}`, node);
      }
    }
  }

  byName(name: string): NodeConfig | undefined {
    return this.#by.get(`name ${name}`);
  }

  /** `mac` in lower case with colons: its own, or one that it is given. */
  byMac(mac: string): NodeConfig | undefined {
    return this.#by.get(`mac ${mac}`);
  }

  /** `uid` in its canonical form (agent/protocol/uid.ts). */
  byUid(uid: string): NodeConfig | undefined {
    return this.#by.get(`uid ${uid}`);
  }

  /** `clientId` is option 61 in lower-case hexadecimal. */
  byClientId(clientId: string): NodeConfig | undefined {
    return this.#by.get(`clientId ${clientId}`);
  }

  /** `circuit` is sub-option 1 of option 82 in lower-case hexadecimal. */
  byCircuit(circuit: string): NodeConfig | undefined {
    return this.#by.get(`circuit ${circuit}`);
  }

  /** `serial`, a board serial number, in lower case. */
  bySerial(serial: string): NodeConfig | undefined {
    return this.#by.get(`serial ${serial}`);
  }

  /** The node the address is reserved for, or that is given it. */
  byAddress(address: string): NodeConfig | undefined {
    return this.#by.get(`address ${address}`);
  }
}

/** Whether the node's adapters are given this address. */
export function isAdapterAddress(node: NodeConfig, address: string): boolean {
  return node.adapters?.some(({ network }) => network?.address === address) ?? false;
}

/**
 * Whether the node boots over that adapter of its definition. Of a node whose own MAC is not known any may be the one,
 * unless another entry is plainly it.
 */
export function bootsOver(node: NodeConfig, adapter: AdapterSetting): boolean {
  if (adapter.mac === undefined) return true;
  if (node.mac !== undefined) return adapter.mac === node.mac;
  return node.adapters?.every(({ mac }) => mac !== undefined) ?? true;
}
