/** The agent's verbs on a full system: what this node is, its boot pointer, its firmware's boot order. */
import { Command } from 'commander';
import type { Host } from '../linux/host.ts';
import { SUPERVISE_HELP } from '../linux/supervise-options.ts';
import { readUid } from '../linux/uid.ts';
import { plain, plainJson } from '../protocol/plain.ts';
import { supervise } from '../supervise.ts';
import { addEfiVerbs } from './efi-verbs.ts';
import { addPointerVerbs } from './pointer-verbs.ts';

export const EXIT_CODES = `
Exit codes:
  0  done
  1  a file or device could not be read or written
  2  wrong usage
  3  no usable boot pointer is in force (verify)
  4  refused: nothing was written
  5  written, but not verified: read it back before the next boot`;

/** The program `agent`; `show` takes its output, line by line, without control characters; `exit` the exit code of verbs that end well but say no. */
export function agentProgram(
  host: Host,
  show: (text: string) => void,
  exit: (code: number) => void = () => {},
): Command {
  const print = (text: string) => show(plain(text));
  const program = new Command('agent').description('hardware UID and boot pointer of a node');
  program.exitOverride().showHelpAfterError('(--help shows the usage)');
  program.addHelpText(
    'after',
    `\nExamples:\n  agent uid\n  agent pointer show --store uboot-env:/dev/vda\n${EXIT_CODES}`,
  );
  program
    .command('uid')
    .description('print the hardware UID of this node')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  agent uid')
    .action(({ json }: { json?: boolean }) => {
      const uid = readUid(host);
      print(json ? plainJson(JSON.stringify({ uid })) : uid);
    });
  program
    .command('supervise')
    .description('speak for this node to its imager until SIGTERM')
    .helpOption(false)
    .configureHelp({ formatHelp: () => `${SUPERVISE_HELP}\n` })
    .allowUnknownOption()
    .allowExcessArguments()
    .argument('[options...]')
    .action(async (args: string[]) => host.exit(await supervise(host, args)));
  addPointerVerbs(program, host, print, exit);
  addEfiVerbs(program, host, print);
  return program;
}
