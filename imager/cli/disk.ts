/** `imager disk`: the nodes' disks, copy-on-write over a base image. */
import type { Command } from 'commander';
import type { DiskView } from '../disks/catalog.ts';
import type { DamagedView } from '../disks/damaged.ts';
import type { BootReads } from '../model/views.ts';
import { showBoots } from './base.ts';
import { Context } from './context.ts';
import { addCheck } from './disk-check.ts';
import { addGenerations } from './disk-generations.ts';
import { newName } from './disk-words.ts';
import { NEEDS_IMAGER } from './failure.ts';
import { addDiskRemove } from './remove.ts';
import { bytes, fields, table } from './table.ts';

type ListedDisk = DiskView | DamagedView;

export function addDisk(program: Command): void {
  const disk = program
    .command('disk')
    .description(
      'list, show, create and remove disks; keep their states, roll back, check; pack what boots read',
    )
    .addHelpText('after', '\nExamples:\n  imager disk list\n  imager disk create node1-root --base web');
  disk
    .command('list')
    .description('all disks')
    .option('--json', 'print JSON')
    .addHelpText('after', `${NEEDS_IMAGER}\nExamples:\n  imager disk list\n  imager disk list --json`)
    .action(async (_options, command: Command) => {
      const context = new Context(command);
      context.print(await context.get<ListedDisk[]>('/api/disks'), (disks) =>
        table(['name', 'base', 'size', 'written', 'attached', 'damage'], disks.map(rowOf)),
      );
    });
  disk
    .command('show')
    .description('one disk: what it is over, how much of it is its own, who has it attached')
    .argument('<name>', 'name of the disk')
    .option('--json', 'print JSON')
    .addHelpText('after', `${NEEDS_IMAGER}\nExamples:\n  imager disk show node1-root`)
    .action(async (name: string, _options, command: Command) => {
      const context = new Context(command);
      context.print(await context.get<DiskView>(`/api/disks/${encodeURIComponent(name)}`), showDisk);
    });
  disk
    .command('create')
    .description('make a disk over a base image; it takes up only what is written to it')
    .argument('<name>', 'name of the new disk', newName)
    .requiredOption('--base <base>', 'base image')
    .option('--json', 'print JSON')
    .addHelpText('after', `${NEEDS_IMAGER}\nExamples:\n  imager disk create node1-root --base debian-12`)
    .action(async (name: string, { base }: { base: string }, command: Command) => {
      const context = new Context(command);
      context.print(await context.post<DiskView>('/control/disks', { name, base }), showDisk);
    });
  disk
    .command('pack')
    .description('make the boot pack of a base image from what boots over it read; it is also made by itself')
    .argument('<base>', 'base image')
    .option('--json', 'print JSON')
    .addHelpText('after', `${NEEDS_IMAGER}\nExamples:\n  imager disk pack web`)
    .action(async (base: string, _options, command: Command) => {
      const context = new Context(command);
      const path = `/control/bases/${encodeURIComponent(base)}/pack`;
      context.print(await context.post<BootReads>(path, {}), (boot) => showBoots(base, boot));
    });
  addGenerations(disk);
  addCheck(disk);
  addDiskRemove(disk);
}

function rowOf(disk: ListedDisk): string[] {
  const damage = disk.damage ?? '-';
  if (!('size' in disk)) return [disk.name, '-', '-', '-', '-', damage];
  const { name, base, size, blocksWritten, blockSize, attached = '-' } = disk;
  return [name, base, bytes(size), bytes(blocksWritten * blockSize), attached, damage];
}

function showDisk(disk: DiskView): string {
  return fields([
    ['name', disk.name],
    ['base', disk.base],
    ['base content', `sha256 ${disk.baseDigest}`],
    ['size', bytes(disk.size)],
    ['written', `${disk.blocksWritten} blocks of ${disk.blockSize} bytes`],
    ['zeroed', `${disk.blocksZeroed} blocks`],
    ['takes up', `${bytes(disk.allocatedBytes)}${disk.growsOnly ? ', only grows: see disk check' : ''}`],
    ['generations', String(disk.generations)],
    ['attached', disk.attached ?? '-'],
    ['damage', disk.damage ?? '-'],
  ]);
}
