/** `imager node output`: what user-configuration scripts of a node said, and how they ended. */
import type { Command } from 'commander';
import type { OutputView } from '../model/views.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';
import { bytes, fields, table, time } from './table.ts';

/** Adds the verb to the group `node`. */
export function addNodeOutput(node: Command): void {
  node
    .command('output')
    .description("what scripts of a node's last deployment said, and how they ended")
    .argument('<name>', 'name of the node')
    .argument('[script]', 'name of the script whose output is shown; without it all are listed')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Of each script its last run, with the last 64 KiB of what it said. On the node itself it is in /var/lib/bootwright/output.

Examples:
  imager node output node1
  imager node output node1 10-site.sh`,
    )
    .action(async (name: string, script: string | undefined, _options, command: Command) => {
      const context = new Context(command);
      const all = await context.get<OutputView[]>(`/control/nodes/${encodeURIComponent(name)}/outputs`);
      if (script === undefined) return context.print(all, listed);
      const found = all.find((each) => each.script === script);
      if (found !== undefined) return context.print(found, shown);
      const known = all.map((each) => each.script).join(', ') || 'none';
      throw new VerbError(`no output of script "${script}" of ${name}; there is: ${known}`);
    });
}

function listed(all: readonly OutputView[]): string {
  if (all.length === 0) return 'no script has run in the last deployment, or none was heard of';
  return table(
    ['script', 'stage', 'ended', 'began', 'took', 'output', 'heard'],
    all.map((each) => [
      each.script,
      String(each.stage),
      ending(each),
      `${each.began.toFixed(3)} s`,
      `${each.took.toFixed(3)} s`,
      bytes(Buffer.byteLength(each.output)),
      time(each.at),
    ]),
  );
}

function shown(output: OutputView): string {
  const head = fields([
    ['script', output.script],
    ['stage', String(output.stage)],
    ['deployment', output.deployment],
    ['boot', output.bootId],
    ['ended', ending(output)],
    ['began', `${output.began.toFixed(3)} s after the kernel`],
    ['took', `${output.took.toFixed(3)} s`],
    ['heard', time(output.at)],
  ]);
  const said = output.output.replaceAll('\r\n', '\n').replaceAll('\t', '    ').trimEnd();
  return said === '' ? `${head}\n\nno output` : `${head}\n\n${said}`;
}

function ending({ code, timedOut }: OutputView): string {
  return timedOut ? 'not within its time limit' : `exit ${code}`;
}
