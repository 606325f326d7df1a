/** `imager pxe`: what nodes are given to boot, and why one does not. */
import type { Command } from 'commander';
import type { MenuCheck, MenuFile, NodeMenus } from '../menus/views.ts';
import { loadConfig } from '../model/load.ts';
import { Context } from './context.ts';
import { addExplain } from './explain.ts';
import { VerbError } from './failure.ts';
import { counted, fields, table } from './table.ts';

/** What --file takes, and the menus it means. */
const FILES: Record<string, readonly string[]> = {
  'boot.ipxe': ['boot.ipxe'],
  pxelinux: ['pxelinux.cfg/default'],
  grub: ['grub/grub.cfg'],
  extlinux: ['extlinux/extlinux.conf'],
  uboot: ['boot.scr.uimg'],
  rpi: ['config.txt', 'cmdline.txt'],
};

interface RenderOptions {
  file?: string;
  all?: boolean;
  check?: boolean;
  offline?: boolean;
}

export function addPxe(program: Command): void {
  const pxe = program
    .command('pxe')
    .description('show what nodes are given to boot, and say why one does not')
    .addHelpText('after', '\nExamples:\n  imager pxe render node1\n  imager pxe explain node1');
  pxe
    .command('render')
    .description('show the boot menus of a node: which image and why, under which names, and their text')
    .argument('[node]', 'name of the node')
    .option(
      '--file <menu>',
      `only the text of this one: ${Object.keys(FILES).join(', ')}, or a template of your own`,
    )
    .option('--all', 'the text of every menu, those of your own templates too')
    .option('--check', 'make every menu for every node, look for its image, and say what is wrong')
    .option('--offline', 'from configuration and templates alone: boot pointers and leases are not known')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exit code 1 where the node gets none of the menus that are shown.

Templates are Liquid, in the folder the configuration names with templates: boot.ipxe.liquid takes the place of the
built-in boot.ipxe; files without .liquid are served as they are. They know node (name, mac, uid, address, hostname,
serial, ip, variables), image (name, kind, arch, args, files, urls), pointer (image, disks, cluster, deployment, phase),
boot (args, from, why), imager (address, http, tftp), client (address) and cluster.

Examples:
  imager pxe render node1
  imager pxe render node1 --file grub | grub-script-check
  imager pxe render node1 --all --offline
  imager pxe render --check`,
    )
    .action(async (node: string | undefined, options: RenderOptions, command: Command) => {
      if ((node === undefined) !== (options.check === true))
        command.error('error: give the name of a node, or --check for all of them');
      const context = new Context(command);
      if (node === undefined) await check(context, options);
      else await render(context, node, options);
    });
  addExplain(pxe);
}

async function render(context: Context, name: string, options: RenderOptions): Promise<void> {
  const menus = options.offline
    ? await nodeOffline(context, name)
    : await context.get<NodeMenus>(`/api/nodes/${encodeURIComponent(name)}/menus`);
  const wanted = options.file === undefined ? undefined : (FILES[options.file] ?? [options.file]);
  const files = menus.files.filter(({ menu }) => wanted?.includes(menu) ?? true);
  if (context.json || wanted === undefined) {
    context.print({ ...menus, files }, (shown) => showMenus(shown, options.all === true));
    if (files.length > 0 && files.every(({ error }) => error !== null))
      throw new VerbError(`${name} gets none of these menus: ${files[0]!.error}`);
    return;
  }
  if (files.length === 0) {
    const known = new Set([...Object.keys(FILES), ...menus.files.map(({ menu }) => menu)]);
    throw new VerbError(`no menu ${JSON.stringify(options.file)}; there is: ${[...known].join(', ')}`);
  }
  const failed = files.find(({ error }) => error !== null);
  if (failed !== undefined) throw new VerbError(`${failed.menu} for ${name}: ${failed.error}`);
  // As it is: values in it have no control characters, whatever nodes call themselves (menus/format.ts).
  process.stdout.write(files.map(({ text }) => text ?? '').join(''));
}

async function check(context: Context, { offline }: RenderOptions): Promise<void> {
  const checked = offline
    ? await checkOffline(context)
    : await context.get<MenuCheck>('/control/menus/check');
  context.print(checked, ({ nodes, templates, faults, notes }) =>
    [
      ...notes.map((note) => `note: ${note}`),
      ...faults.map(({ node, menu, error }) => [node, menu, error].filter((part) => part !== '').join(': ')),
      `${counted(templates, 'menu')} for ${counted(nodes, 'node')}: ${faults.length === 0 ? 'no faults' : counted(faults.length, 'fault')}`,
    ].join('\n'),
  );
  const nodes = [...new Set(checked.faults.map(({ node }) => node).filter((node) => node !== ''))];
  if (nodes.length > 0)
    throw new VerbError(`would not get what they are to boot: ${nodes.slice(0, 20).join(', ')}`);
  if (checked.faults.length > 0)
    throw new VerbError('a wrong template is not in force, and a wrong file boots nobody');
}

async function nodeOffline(context: Context, name: string): Promise<NodeMenus> {
  const { offlineNode, log } = await offlineParts();
  const found = await offlineNode(context.config, log, name);
  for (const note of found?.notes ?? []) context.progress(`note: ${note}`);
  if (found !== undefined) return found.shown;
  const known = context.config.nodes.map((node) => node.name).join(', ');
  throw new VerbError(
    `no node ${JSON.stringify(name)} in ${context.configFile}; there is: ${known || 'none'}`,
  );
}

async function checkOffline(context: Context): Promise<MenuCheck> {
  const { offlineCheck, log } = await offlineParts();
  // Here a configuration is tested before it is used.
  return offlineCheck(loadConfig(context.configFile), log);
}

/** Loaded only where they are needed: other verbs start faster without. */
async function offlineParts() {
  const [{ pino }, offline] = await Promise.all([import('pino'), import('../menus/offline.ts')]);
  return { ...offline, log: pino({ level: 'silent' }) };
}

function showMenus({ node, image, from, why, files }: NodeMenus, all: boolean): string {
  const head = fields([
    ['node', node],
    ['image', image ?? '-'],
    ['because', from === 'none' ? why : `${from}: ${why}`],
  ]);
  const list = table(
    ['menu', 'made from', 'served as'],
    files.map((file) => [file.menu, file.template, file.error ?? file.paths.join(' ')]),
  );
  const texts = files.filter(({ menu, text }) => text !== null && (all || menu === 'boot.ipxe'));
  return [head, list, ...texts.map(showText)].join('\n\n');
}

function showText({ menu, text }: MenuFile): string {
  return `--- ${menu}\n${text?.replaceAll('\t', '    ').trimEnd()}`;
}
