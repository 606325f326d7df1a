/** What the DHCP server is told of the configuration, and what its leases say of nodes. */
import type { DhcpConfig, Reservation, Reservations } from '../dhcp/config.ts';
import type { Lease } from '../dhcp/lease.ts';
import type { ImagerConfig, NodeConfig } from '../model/config.ts';
import { bootsOver, type NodeIndex } from '../model/nodes.ts';
import { bootFileFor, httpBase, type NodeBoot } from './boot-choice.ts';

/** `ipxe`: boot files there are under ipxe/. `bootOf`: what a node boots. */
export function dhcpConfig(
  config: ImagerConfig,
  ipxe: ReadonlySet<string>,
  httpPort: number,
  bootOf: (node: string) => NodeBoot,
): DhcpConfig {
  const { address, ...network } = config.network;
  const offer = { ipxe, httpBase: httpBase(address, httpPort), files: config.boot.files };
  const { subnets, options, probe } = config.dhcp;
  const menus = new Map(config.nodes.map(({ name, boot }) => [name, boot?.menu]));
  const hasMenus = config.boot.menu !== undefined || [...menus.values()].some((menu) => menu !== undefined);
  const menu: DhcpConfig['menu'] = ({ node, userClass }) => {
    const found = menus.get(node ?? '') ?? config.boot.menu;
    // iPXE that was itself an item of the menu would show it again.
    return userClass === 'iPXE' && found?.ipxe === false ? undefined : found;
  };
  return {
    ...network,
    serverAddress: address,
    subnets,
    options,
    probe,
    ...(hasMenus ? { menu } : {}),
    bootFile: ({ node, ...client }) =>
      bootFileFor(node === undefined ? client : { ...client, node: bootOf(node) }, offer),
  };
}

/**
 * Who is which node, and which address is whose. A node's system asks from its adapters as the agent has set them. Over
 * the one that it booted over it is the node still. Any other with a MAC of the definition's is a client of its own:
 * it has the address it is given there, or comes as a stranger, but never what the node has for its boot.
 */
export function reservationsOf(nodes: NodeIndex): Reservations {
  const reservation = (node: NodeConfig | undefined): Reservation | undefined =>
    node && {
      node: node.name,
      hostname: node.hostname,
      ...(node.address === undefined ? {} : { address: node.address }),
    };
  return {
    byMac: (mac) => {
      const node = nodes.byMac(mac);
      const adapter = node?.adapters?.find(({ setMac }) => setMac === mac);
      if (node === undefined || adapter === undefined) return reservation(node);
      const address = adapter.network?.address;
      if (bootsOver(node, adapter)) return reservation(address === undefined ? node : { ...node, address });
      return address === undefined
        ? undefined
        : { node: node.name, hostname: node.hostname, address, adapter: mac };
    },
    byUid: (uid) => reservation(nodes.byUid(uid)),
    byClientId: (clientId) => reservation(nodes.byClientId(clientId)),
    byCircuit: (circuit) => reservation(nodes.byCircuit(circuit)),
    byAddress: (address) => reservation(nodes.byAddress(address)),
    byNode: (name, mac) => (nodes.byMac(mac) === undefined ? reservation(nodes.byName(name)) : undefined),
  };
}

/**
 * The node an address was last given to: whose marks the lease has, in the order of dhcp/world.ts, else the one it names.
 * Marks come first because names may have changed since, with the configuration. A lease that ran out counts until
 * another client has the address: kernel and agent keep it without renewing it.
 */
export function nodeOfLease(nodes: NodeIndex, lease: Lease | undefined): NodeConfig | undefined {
  if (lease?.state !== 'bound') return undefined;
  const { uid, mac, node } = lease;
  return (
    (uid === undefined ? undefined : nodes.byUid(uid)) ??
    nodes.byMac(mac) ??
    (node === undefined ? undefined : nodes.byName(node))
  );
}

/** Who that is, a stranger by its MAC. */
export function lesseeOf(
  nodes: NodeIndex,
  lease: Lease | undefined,
): { node?: string; mac: string } | undefined {
  if (lease?.state !== 'bound') return undefined;
  const node = nodeOfLease(nodes, lease)?.name;
  return { ...(node === undefined ? {} : { node }), mac: lease.mac };
}
