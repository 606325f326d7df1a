/** `imager disk snapshot|generations|rollback|drop|diff|commit|grow`: what is done with a disk's states. */
import type { Command } from 'commander';
import type { BaseView } from '../disks/base-record.ts';
import type { DiskView } from '../disks/catalog.ts';
import type { Differences, DiskWork, Generations, GenerationView, Moment } from '../disks/disk-work.ts';
import { showBase } from './base.ts';
import { Context } from './context.ts';
import { generationNumber, labelOf, momentOf, newName, sizeOf } from './disk-words.ts';
import { VerbError } from './failure.ts';
import { imagerOrFiles } from './imager-or-files.ts';
import { percentOfBase } from './percent.ts';
import { bytes, fields, table, time } from './table.ts';

/** Adds the verbs to `disk`. */
export function addGenerations(disk: Command): void {
  verb(disk, 'snapshot', 'keep a disk as it is as a generation; whoever uses it goes on')
    .option('--label <text>', 'what it is kept for, at most 63 bytes', labelOf, '')
    .addHelpText('after', examples('snapshot node1-root --label "before the upgrade"'))
    .action(async (name: string, { label }: { label: string }, command: Command) => {
      const context = new Context(command);
      const made = await either<GenerationView>(context, name, 'snapshot', { label }, (work) =>
        work.snapshot(name, label),
      );
      context.print(made, showGeneration);
    });
  verb(disk, 'generations', "a disk's generations, the oldest first")
    .addHelpText('after', examples('generations node1-root', 'generations node1-root --json'))
    .action(async (name: string, _options, command: Command) => {
      const context = new Context(command);
      context.print(await kept(context, name), listGenerations);
    });
  verb(disk, 'rollback', 'make a disk that nobody uses what it was; what it is now is kept as a generation')
    .argument('<generation>', 'number of the generation', generationNumber)
    .addHelpText('after', examples('rollback node1-root 3'))
    .action(async (name: string, generation: number, _options, command: Command) => {
      const context = new Context(command);
      const was = await either<GenerationView>(context, name, 'rollback', { generation }, (work) =>
        work.rollBack(name, generation),
      );
      context.print(
        was,
        ({ id }) => `${name} is as in generation ${generation}; what it was is generation ${id}`,
      );
    });
  verb(disk, 'drop', 'give a generation up for ever; what only it has is free then')
    .argument('<generation>', 'number of the generation', generationNumber)
    .option('--yes', 'really')
    .addHelpText('after', examples('drop node1-root 3 --yes'))
    .action(async (name: string, generation: number, { yes }: { yes?: boolean }, command: Command) => {
      if (yes !== true) throw new VerbError('a generation that is dropped is gone for ever: say --yes');
      const context = new Context(command);
      const gone = await either<GenerationView>(context, name, 'drop', { generation }, (work) =>
        work.drop(name, generation),
      );
      context.print(gone, ({ id }) => `generation ${id} of ${name} is gone`);
    });
  verb(disk, 'diff', 'which parts of a disk were changed between two generations')
    .argument('<from>', 'number of a generation, or base', momentOf)
    .argument('[to]', 'number of a generation, or now', momentOf, 'now')
    .addHelpText('after', examples('diff node1-root 3', 'diff node1-root 3 4 --json'))
    .action(async (name: string, from: Moment, to: Moment, _options, command: Command) => {
      const context = new Context(command);
      const found = await either<Differences>(context, name, 'diff', { from, to }, (work) =>
        work.differences(name, from, to),
      );
      context.print(found, showDifferences);
    });
  verb(disk, 'commit', 'make a new base image of a generation, or of the disk as it is')
    .requiredOption('--base <name>', 'name of the new base image', newName)
    .option('--generation <number>', 'number of the generation', generationNumber)
    .addHelpText(
      'after',
      `
Without --generation the disk as it is is kept as a generation labelled "base image NAME", which stays; where no base
image comes of it, that generation is dropped again.
${examples('commit node1-root --base web-2', 'commit node1-root --base web-2 --generation 3')}`,
    )
    .action(async (name: string, o: { base: string; generation?: number }, command: Command) => {
      const context = new Context(command);
      const wish = { base: o.base, ...(o.generation === undefined ? {} : { generation: o.generation }) };
      const { generations } = await kept(context, name);
      if (o.generation === undefined || generations.some(({ id }) => id === o.generation))
        context.progress(`reading ${name}; this takes a few seconds for each GiB`);
      const made = await percentOfBase(context, o.base, (progress) =>
        either<BaseView>(context, name, 'commit', wish, (work) =>
          work.commit(name, o.base, o.generation, progress),
        ),
      );
      context.print(made, showBase);
    });
  verb(disk, 'grow', 'make a disk longer, in use or not; what is new reads as zeroes')
    .argument('<size>', 'new size: bytes, or with K, M, G or T, as 20G, 1.5GiB', sizeOf)
    .addHelpText('after', examples('grow node1-root 20G'))
    .action(async (name: string, size: number, _options, command: Command) => {
      const context = new Context(command);
      const grown = await either<DiskView>(context, name, 'grow', { size }, (work) => work.grow(name, size));
      context.print(grown, (view) => `${view.name} has ${bytes(view.size)}`);
    });
}

function kept(context: Context, name: string): Promise<Generations> {
  return either(context, name, 'generations', undefined, (work) => work.generations(name));
}

function verb(disk: Command, name: string, description: string): Command {
  return disk
    .command(name)
    .description(description)
    .argument('<name>', 'name of the disk')
    .option('--json', 'print JSON');
}

function examples(...lines: string[]): string {
  return `\nThe imager need not be running.\n\nExamples:\n${lines.map((line) => `  imager disk ${line}`).join('\n')}`;
}

/** Has the imager do it; where none is running, does it here. */
function either<T>(
  context: Context,
  disk: string,
  what: string,
  wish: object | undefined,
  here: (work: DiskWork) => Promise<T>,
): Promise<T> {
  const path = `/control/disks/${encodeURIComponent(disk)}/${what}`;
  return imagerOrFiles(context, path, wish, async (disks) => {
    const { DiskWork } = await import('../disks/disk-work.ts');
    return here(new DiskWork(disks, Date.now));
  });
}

function showGeneration(it: GenerationView): string {
  return fields([
    ['generation', String(it.id)],
    ['label', it.label],
    ['made from', it.parent === 0 ? '-' : `generation ${it.parent}`],
    ['time', time(Date.parse(it.time))],
    ['size', bytes(it.size)],
    ['written', `${it.blocksWritten} blocks`],
    ['zeroed', `${it.blocksZeroed} blocks`],
  ]);
}

function listGenerations({ disk, parent, generations }: Generations): string {
  if (generations.length === 0) return `${disk} has no generations`;
  const rows = generations.map((it) => [
    it.id === parent ? `${it.id} *` : String(it.id),
    it.parent === 0 ? '-' : String(it.parent),
    time(Date.parse(it.time)),
    bytes(it.size),
    bytes(it.blocksWritten * 4096),
    it.label,
  ]);
  return `${table(['id', 'from', 'time', 'size', 'written', 'label'], rows)}\n* the disk as it is was made from it`;
}

function showDifferences({ ranges, granularity, bytes: changed }: Differences): string {
  const rows = ranges.map(({ offset, length }) => [String(offset), String(length)]);
  return `${table(['offset', 'length'], rows)}\n${bytes(changed)} in ${ranges.length} ranges (multiples of ${bytes(granularity)})`;
}
