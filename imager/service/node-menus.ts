/** The menus of the running imager: what the configuration says, and what leases and pointers say since. */
import type { Logger } from 'pino';
import type { Directory } from '../agents/directory.ts';
import type { BootTable } from '../images/table.ts';
import { Library } from '../menus/library.ts';
import { Menus } from '../menus/menus.ts';
import { configuredWorld, imagerPlaces } from '../menus/world.ts';
import type { ImagerConfig, NodeConfig } from '../model/config.ts';
import type { NodeIndex } from '../model/nodes.ts';

export interface MenuParts {
  config: ImagerConfig;
  nodes: NodeIndex;
  directory: Directory;
  table: BootTable;
  /** The node an address was last given to. */
  holderOf(address: string): NodeConfig | undefined;
  /** The address a node has, reserved or by lease. */
  addressOf(name: string): string | undefined;
  /** Ports of those servers that run. */
  port(service: 'http' | 'tftp'): number | undefined;
  log: Logger;
}

/** Reads the operator's templates and looks for changes until the menus' library is closed. Rejects with LibraryError. */
export async function openMenus(parts: MenuParts): Promise<Menus> {
  const { config, nodes, directory, table, log } = parts;
  const library = await Library.open(config.templates, log);
  library.watch();
  const { address } = config.network;
  const ports = (): { http: number; tftp: number } => ({
    http: parts.port('http') ?? config.ports.http,
    tftp: parts.port('tftp') ?? config.ports.tftp,
  });
  const world = {
    ...configuredWorld(config, nodes),
    imager: () => imagerPlaces(address, ports()),
    nodeAt: (client: string) => nodes.byAddress(client) ?? parts.holderOf(client),
    addressOf: ({ name }: NodeConfig) => parts.addressOf(name),
    pointerOf: ({ name }: NodeConfig) => directory.get(name)?.pointer ?? null,
    imageNamed: (name: string) => table.get(name),
  };
  return new Menus(library, world, log);
}
