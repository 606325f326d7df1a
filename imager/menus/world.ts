/** What the configuration alone says of the world menus are made for; a running imager knows more. */

import { ipv4ToNumber } from '../../agent/protocol/ipv4.ts';
import type { ImagerSettings } from '../model/config.ts';
import { networkRange } from '../model/ipv4.ts';
import type { NodeIndex } from '../model/nodes.ts';
import type { MenuWorld } from './menus.ts';
import type { Scope } from './scope.ts';

/** Reserved addresses, no pointers. */
export function configuredWorld(config: ImagerSettings, nodes: NodeIndex): Omit<MenuWorld, 'imageNamed'> {
  const { address, prefix, router } = config.network;
  const networks = [
    { base: address, prefix, ...(router === undefined ? {} : { router }) },
    ...config.dhcp.subnets.map((subnet) => ({ base: subnet.network, ...subnet })),
  ];
  return {
    cluster: config.cluster,
    ...(config.boot.image === undefined ? {} : { image: config.boot.image }),
    nodes,
    imager: () => imagerPlaces(address, config.ports),
    nodeAt: (wanted) => nodes.byAddress(wanted),
    addressOf: (node) => node.address,
    networkOf: (wanted) => networks.find(({ base, prefix: bits }) => isIn(wanted, base, bits)),
    pointerOf: () => null,
  };
}

/** Where an imager serves files, as URLs; the ports that everybody expects are left out. */
export function imagerPlaces(address: string, ports: { http: number; tftp: number }): Scope['imager'] {
  return {
    address,
    http: `http://${address}${ports.http === 80 ? '' : `:${ports.http}`}`,
    tftp: `tftp://${address}${ports.tftp === 69 ? '' : `:${ports.tftp}`}`,
  };
}

function isIn(address: string, base: string, prefix: number): boolean {
  const { first, last } = networkRange(base, prefix);
  const at = ipv4ToNumber(address);
  return first <= at && at <= last;
}
