/** `imager disk check|repair`: without the imager, on a disk that nobody uses. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { isName } from '../../agent/protocol/names.ts';
import { plain } from '../../agent/protocol/plain.ts';
import type { SystemFile } from '../disks/block-file.ts';
import type { CheckReport } from '../disks/check.ts';
import { Context } from './context.ts';
import { NotRunningError, VerbError } from './failure.ts';
import { percent } from './percent.ts';

/** Adds the verbs to `disk`. */
export function addCheck(disk: Command): void {
  disk
    .command('check')
    .description('read all that a disk has stored, and verify it; exit code 1 where something is damaged')
    .argument('<name>', 'name of the disk, which nobody may be using')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nThe imager need not be running.\n\nExamples:\n  imager disk check node1-root')
    .action((name: string, _options, command: Command) => run(new Context(command), name, false));
  disk
    .command('repair')
    .description('have damaged parts of a disk read as zeroes, so that it can be used again')
    .argument('<name>', 'name of the disk, which nobody may be using')
    .option('--yes', 'really; without it damaged parts are only told')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Damaged parts are told, and lost: check the file system in the disk afterwards. The imager need not be running.

Examples:
  imager disk repair node1-root --yes`,
    )
    .action(async (name: string, { yes }: { yes?: boolean }, command: Command) => {
      await run(new Context(command), name, yes === true);
      if (yes !== true) throw new VerbError('nothing was changed: say --yes');
    });
}

async function run(context: Context, name: string, mend: boolean): Promise<void> {
  const [{ check, repair }, { SystemFile }, { FILE_NAME }, { newSalt }] = await Promise.all([
    import('../disks/check.ts'),
    import('../disks/block-file.ts'),
    import('../disks/overlay-file.ts'),
    import('../disks/open-overlays.ts'),
  ]);
  const folder = join(context.config.state, 'disks', name);
  if (!isName(name) || !existsSync(folder))
    throw new VerbError(`no disk "${name}" in ${context.config.state}`);
  const path = join(folder, FILE_NAME);
  if (!existsSync(path)) throw new VerbError(`disk "${name}" is damaged: its file ${path} is missing`);
  const file = new SystemFile(path, mend ? 'r+' : 'r');
  let report: CheckReport;
  try {
    await lock(context, file, name);
    const host = {
      name,
      salt: newSalt,
      warn: (message: string) => context.progress(message),
    };
    report = await (mend ? repair(file, host, percent(context)) : check(file, percent(context)));
  } finally {
    if (!mend) file.close();
  }
  context.print(report, (it) => show(name, it, mend));
  if (report.damages.length > 0 && !mend) process.exitCode = 1;
}

/** The imager keeps a disk open for a while after its client left: it is asked to let go of one that nobody has. */
async function lock(context: Context, file: SystemFile, name: string): Promise<void> {
  if (file.lock()) return;
  try {
    await context.post(`/control/disks/${encodeURIComponent(name)}/let-go`, {});
  } catch (error) {
    // It had let go, and could not open the damaged disk once more.
    if (file.lock()) return;
    if (!(error instanceof NotRunningError)) throw error;
  }
  if (!file.lock()) throw new VerbError(`disk "${name}" is in use: stop whoever has it first`);
}

function show(name: string, { blocks, generations, damages }: CheckReport, mended: boolean): string {
  const lines = damages.map(({ message }) => plain(message));
  const read = `${blocks} blocks and ${generations} generations read`;
  if (damages.length === 0) return `${name} is good: ${read}`;
  return [
    ...lines,
    `${name}: ${read}, ${damages.length} damaged${mended ? ', which read as zeroes now' : ''}`,
  ].join('\n');
}
