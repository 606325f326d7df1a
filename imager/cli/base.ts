/** `imager base`: the read-only base images that disks are made over. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { BaseView } from '../disks/base-record.ts';
import type { DamagedView } from '../disks/damaged.ts';
import { buildBaseDisk } from '../images/base-disk.ts';
import type { Architecture } from '../images/image.ts';
import { clearWorkFolders } from '../images/work-folder.ts';
import type { BootReads } from '../model/views.ts';
import { addVerify } from './base-verify.ts';
import { architectureOption, cacheDirectory, cacheOption } from './build-options.ts';
import { Context } from './context.ts';
import { newName } from './disk-words.ts';
import { NEEDS_IMAGER, VerbError } from './failure.ts';
import { percentOfBase } from './percent.ts';
import { addBaseRemove } from './remove.ts';
import { bytes, counted, fields, table } from './table.ts';

type ListedBase = (BaseView & { boot: BootReads | null }) | DamagedView;

export function addBase(program: Command): void {
  const base = program
    .command('base')
    .description('list, add, build, verify and remove base images for disks')
    .addHelpText('after', '\nExamples:\n  imager base list\n  imager base build web --arch arm64');
  base
    .command('list')
    .description('all base images')
    .option('--json', 'print JSON')
    .addHelpText('after', `${NEEDS_IMAGER}\nExamples:\n  imager base list`)
    .action(async (_options, command: Command) => {
      const context = new Context(command);
      context.print(await context.get<ListedBase[]>('/api/bases'), (bases) =>
        table(['name', 'size', 'takes up', 'boots read', 'pack', 'sha256', 'damage'], bases.map(rowOf)),
      );
    });
  base
    .command('add')
    .description('add a raw disk image of this machine, which is copied')
    .argument('<name>', 'name of the new base image', newName)
    .argument('<file>', 'raw image')
    .option('--json', 'print JSON')
    .addHelpText('after', `${NEEDS_IMAGER}\nExamples:\n  imager base add debian-12 root.img`)
    .action(async (name: string, file: string, _options, command: Command) => {
      await add(new Context(command), name, file);
    });
  base
    .command('build')
    .description('build a small root file system with a web server from Debian packages, then add it')
    .argument('<name>', 'name of the new base image', newName)
    .addOption(architectureOption())
    .addOption(cacheOption())
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `${NEEDS_IMAGER}
Downloads packages with this machine's apt; without network where they are cached. Progress is on standard error.

Examples:
  imager base build debian-12 --arch arm64`,
    )
    .action(async (name: string, options: { arch: Architecture; cache?: string }, command: Command) => {
      await build(new Context(command), name, options);
    });
  addVerify(base);
  addBaseRemove(base);
}

async function build(
  context: Context,
  name: string,
  { arch, cache }: { arch: Architecture; cache?: string },
): Promise<void> {
  // Asked first: a build takes minutes, and is of no use where there is nobody to give it to.
  const bases = await context.get<ListedBase[]>('/api/bases');
  if (bases.some((base) => base.name === name))
    throw new VerbError(`base image "${name}" exists already: base images never change, choose another name`);
  const { progress } = context;
  const cacheDir = cacheDirectory(context, cache);
  clearWorkFolders(cacheDir);
  const built = await buildBaseDisk({ arch, cacheDir, progress });
  await add(context, name, built.file);
}

async function add(context: Context, name: string, file: string): Promise<void> {
  const added = await percentOfBase(context, name, () =>
    context.post<BaseView>('/control/bases', { name, file: resolve(file) }),
  );
  context.print(added, showBase);
}

export function showBase({ name, size, allocatedBytes, digest }: BaseView): string {
  return fields([
    ['name', name],
    ['size', bytes(size)],
    ['takes up', bytes(allocatedBytes)],
    ['content', `sha256 ${digest}`],
  ]);
}

function rowOf(base: ListedBase): string[] {
  const damage = base.damage ?? '-';
  if (!('size' in base)) return [base.name, '-', '-', '-', '-', '-', damage];
  const { name, size, allocatedBytes, boot, digest } = base;
  const read = boot === null ? ['-', '-'] : [bytes(boot.bytes), packWords(boot)];
  return [name, bytes(size), bytes(allocatedBytes), ...read, digest, damage];
}

function packWords({ pack, current }: BootReads): string {
  if (pack === null) return 'none';
  return current ? bytes(pack) : `${bytes(pack)}, of earlier boots`;
}

/** What is known of boots over a base, one figure a line. */
export function showBoots(base: string, boot: BootReads): string {
  return fields([
    ['base', base],
    ['boots read', `${bytes(boot.bytes)} of it (${counted(boot.boots, 'boot')})`],
    ['pack', packWords(boot)],
  ]);
}
