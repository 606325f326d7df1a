/** Menus without a running imager: from the configuration, the templates, and the boot table where there is one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { BootImage } from '../images/image.ts';
import { BootTable } from '../images/table.ts';
import { BootTree, installedIpxe } from '../images/tree.ts';
import type { ImagerSettings } from '../model/config.ts';
import { NodeIndex } from '../model/nodes.ts';
import { Library } from './library.ts';
import { Menus } from './menus.ts';
import { checkBoots, checkMenus, menusOf } from './show.ts';
import type { MenuCheck, NodeMenus } from './views.ts';
import { configuredWorld } from './world.ts';

/** The menus of one node; undefined where the configuration has no such node. Rejects with LibraryError. */
export async function offlineNode(
  config: ImagerSettings,
  log: Logger,
  name: string,
): Promise<{ shown: NodeMenus; notes: string[] } | undefined> {
  const { menus, nodes, missing } = await open(config, log);
  const node = nodes.byName(name);
  if (node === undefined) return undefined;
  const shown = menusOf(menus, node);
  return {
    shown,
    notes: [...missing].map((image) => `image ${image} is not in the boot table: shown as if it were there`),
  };
}

/**
 * Every menu for every node. Without a boot table, as where the configuration is tested before it is used, nothing is said
 * against images. Rejects with LibraryError.
 */
export async function offlineCheck(config: ImagerSettings, log: Logger): Promise<MenuCheck> {
  const { menus, nodes, missing, table } = await open(config, log);
  if (table === undefined) {
    const { notes, ...checked } = checkMenus(menus, nodes.all);
    return { ...checked, notes: [...notes, `no boot table in ${config.state}: images are not checked`] };
  }
  const files = new BootTree(table, installedIpxe(), menus);
  const { faults, ...checked } = await checkBoots(menus, config, files);
  const absent = nodes.all.flatMap((node) => {
    const { image, why } = menus.choiceFor(node);
    const error = `image ${image} is not in the boot table (${why})`;
    return image !== null && missing.has(image) ? [{ node: node.name, menu: '', error }] : [];
  });
  return { ...checked, faults: [...absent, ...faults] };
}

interface Offline {
  menus: Menus;
  nodes: NodeIndex;
  table: BootTable | undefined;
  /** Images that were asked for and are not in the boot table; menus are made as if they were there. */
  missing: ReadonlySet<string>;
}

async function open(config: ImagerSettings, log: Logger): Promise<Offline> {
  const nodes = new NodeIndex(config.nodes);
  const folder = join(config.state, 'images');
  const table = existsSync(folder) ? BootTable.read(folder) : undefined;
  const missing = new Set<string>();
  const imageNamed = (name: string) => {
    const image = table?.get(name);
    if (image === undefined) missing.add(name);
    return image ?? standIn(name);
  };
  const library = await Library.open(config.templates, log);
  const menus = new Menus(library, { ...configuredWorld(config, nodes), imageNamed }, log);
  return { menus, nodes, table, missing };
}

function standIn(name: string): BootImage {
  const file = { bytes: 0, sha256: '0'.repeat(64) };
  const files = { kernel: file, initrd: file };
  return { name, kind: 'linux', arch: 'amd64', args: '', files, added: new Date(0).toISOString() };
}
