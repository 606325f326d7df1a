/** What each node would be given, for people: without anybody asking for it. */
import { type BootFiles, NotServed } from '../images/boot-files.ts';
import { ImageError } from '../images/image.ts';
import type { ImagerSettings, NodeConfig } from '../model/config.ts';
import { bootFileFaults } from './boot-file-check.ts';
import type { Menus } from './menus.ts';
import { hexAddress, MENUS, type Menu, turnedUuid } from './path.ts';
import { TemplateError } from './template.ts';
import type { MenuCheck, MenuFile, NodeMenus } from './views.ts';

/** The menus of one node, and whatever else the operator has templates of. */
export function menusOf(menus: Menus, node: NodeConfig): NodeMenus {
  const address = menus.addressOf(node);
  const { image, from, why } = menus.choiceFor(node);
  return {
    node: node.name,
    image,
    from,
    why,
    files: [
      ...MENUS.map((menu) => fileOf(menus, menus.templateOf(menu), node, menu, pathsOf(menu, node, address))),
      ...ownTemplates(menus).map((name) => fileOf(menus, name, node, name, [name])),
    ],
  };
}

/**
 * Makes every file for every node, and looks for the image each is to boot. That a node is to have none is a note: the
 * built-in menus are about nothing else.
 */
export function checkMenus(menus: Menus, nodes: readonly NodeConfig[]): MenuCheck {
  const faults: MenuCheck['faults'] = menus.problems().map((error) => ({ node: '', menu: '', error }));
  const notes = new Set<string>();
  const names = new Set([...MENUS.map((menu) => menus.templateOf(menu)), ...ownTemplates(menus)]);
  for (const node of nodes) {
    const fault = menus.imageFault(node);
    if (fault !== undefined) faults.push({ node: node.name, menu: '', error: fault });
    for (const menu of names) {
      if (menus.library.shelf.files.has(menu)) continue;
      const result = attempt(menus, menu, node);
      if (result instanceof TemplateError) faults.push({ node: node.name, menu, error: result.message });
      else if (result instanceof Error && result.message !== fault)
        notes.add(`${node.name}: ${result.message}`);
    }
  }
  if (nodes.length > 0 && nodes.every((node) => menus.choiceFor(node).image === null))
    notes.add('no node has an image to boot, as far as is known here');
  return { nodes: nodes.length, templates: names.size, faults, notes: [...notes] };
}

/** The same, and every other file that the configuration tells nodes to boot. */
export async function checkBoots(menus: Menus, config: ImagerSettings, files: BootFiles): Promise<MenuCheck> {
  const checked = checkMenus(menus, config.nodes);
  const named = await bootFileFaults(config, files);
  return { ...checked, faults: [...checked.faults, ...named.map((fault) => ({ ...fault, menu: '' }))] };
}

/** Templates of the operator's under names that are no menu's. */
function ownTemplates(menus: Menus): string[] {
  const known: readonly string[] = MENUS;
  return [...menus.library.shelf.written.keys()].filter((name) => !known.includes(name));
}

function fileOf(menus: Menus, name: string, node: NodeConfig, menu: string, paths: string[]): MenuFile {
  const { files, written } = menus.library.shelf;
  const place = written.get(name)?.place ?? `built-in ${name}`;
  const file = files.get(name);
  if (file !== undefined) return { menu, paths, template: file, text: null, error: null };
  const result = attempt(menus, name, node);
  return result instanceof Error
    ? { menu, paths, template: place, text: null, error: result.message }
    : { menu, paths, template: place, text: result, error: null };
}

function attempt(menus: Menus, name: string, node: NodeConfig): string | Error {
  try {
    return menus.text(name, node, menus.addressOf(node) ?? '0.0.0.0');
  } catch (error) {
    if (error instanceof TemplateError || error instanceof NotServed || error instanceof ImageError)
      return error;
    throw error;
  }
}

/** The names it is served under to this node, those that say whose it is first. */
function pathsOf(menu: Menu, node: NodeConfig, address: string | undefined): string[] {
  const dashed = node.mac?.replaceAll(':', '-');
  const uuid = node.uid?.startsWith('serial:') ? undefined : node.uid;
  const keys = [uuid, dashed && `01-${dashed}`, address && hexAddress(address)];
  const keyed = (folder: string, name: string) =>
    keys.filter((key) => key !== undefined).map((key) => `${folder}/${name}${key}`);
  const folders = [node.serial, dashed, uuid].filter((folder) => folder !== undefined);
  const inFolders = (name: string) => folders.map((folder) => `${folder}/${name}`);
  switch (menu) {
    case 'pxelinux.cfg/default':
      return [
        ...(uuid === undefined ? [] : [`pxelinux.cfg/${turnedUuid(uuid)}`]),
        ...keyed('pxelinux.cfg', ''),
        menu,
      ];
    case 'grub/grub.cfg':
      return [...keyed('grub', 'grub.cfg-'), menu, 'grub.cfg'];
    default:
      return [...inFolders(menu), menu];
  }
}
