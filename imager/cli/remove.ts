/** `imager disk remove`, `imager base remove`: for good, and only where one says so. */
import type { Command } from 'commander';
import { isName } from '../../agent/protocol/names.ts';
import type { DamagedView } from '../disks/damaged.ts';
import type { BaseLoss, DiskLoss, Removals } from '../disks/removals.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { imagerOrFiles } from './imager-or-files.ts';
import { bytes, counted } from './table.ts';

/** What is removed: how it is told of, asked for from the imager, and done on the files. */
interface Kind<T> {
  what: string;
  /** Of the control API. */
  path: string;
  loss(removals: Removals, name: string): Promise<T>;
  remove(removals: Removals, name: string): Promise<T>;
  words(known: Exclude<T, DamagedView>): string;
}

const DISK: Kind<DiskLoss> = {
  what: 'disk',
  path: '/control/disks',
  loss: (removals, name) => removals.diskLoss(name),
  remove: (removals, name) => removals.removeDisk(name),
  words: ({ base, blocksWritten, blockSize, generations, allocatedBytes }) =>
    `over ${base}: ${bytes(blocksWritten * blockSize)} written, ${counted(generations, 'generation')}, takes up ${bytes(allocatedBytes)}`,
};

const BASE: Kind<BaseLoss> = {
  what: 'base image',
  path: '/control/bases',
  loss: (removals, name) => removals.baseLoss(name),
  remove: (removals, name) => removals.removeBase(name),
  words: ({ size, allocatedBytes, digest }) =>
    `${bytes(size)}, takes up ${bytes(allocatedBytes)}, sha256 ${digest}`,
};

/** Adds the verb to `disk`. */
export function addDiskRemove(disk: Command): void {
  disk
    .command('remove')
    .description('remove a disk that nobody uses, damaged or not, and all that was ever written to it')
    .argument('<name>', 'name of the disk')
    .option('--yes', 'really; without it what would be lost is only told')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Its generations go with it. The imager refuses a disk that a node's boot pointer names, or that has a node's key. It need
not be running; where it is not, nobody knows of that: a node whose boot pointer names a disk that is gone does not boot.

Examples:
  imager disk remove node1-root
  imager disk remove node1-root --yes`,
    )
    .action((name: string, { yes }: { yes?: boolean }, command: Command) =>
      remove(DISK, new Context(command), name, yes === true),
    );
}

/** Adds the verb to `base`. */
export function addBaseRemove(base: Command): void {
  base
    .command('remove')
    .description('remove a base image that no disk is over, damaged or not, its boot trace and its pack')
    .argument('<name>', 'name of the base image')
    .option('--yes', 'really; without it what would be lost is only told')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The imager need not be running.

Examples:
  imager base remove debian-12
  imager base remove debian-12 --yes`,
    )
    .action((name: string, { yes }: { yes?: boolean }, command: Command) =>
      remove(BASE, new Context(command), name, yes === true),
    );
}

async function remove<T extends { name: string }>(
  kind: Kind<T>,
  context: Context,
  name: string,
  really: boolean,
): Promise<void> {
  if (!isName(name)) throw new VerbError(`"${name.slice(0, 80)}" is no name of a ${kind.what}`);
  const path = `${kind.path}/${name}/${really ? 'remove' : 'loss'}`;
  const loss = await imagerOrFiles<T>(context, path, really ? {} : undefined, async (disks) => {
    const { Removals } = await import('../disks/removals.ts');
    const removals = new Removals(disks);
    return really ? kind.remove(removals, name) : kind.loss(removals, name);
  });
  context.print(loss, (it) => {
    const words = 'damage' in it ? String(it.damage) : kind.words(it as Exclude<T, DamagedView>);
    return `${kind.what} ${name} ${really ? 'is gone' : 'would be gone for ever'}: ${words}`;
  });
  if (!really) throw new VerbError('nothing was removed: say --yes');
}
