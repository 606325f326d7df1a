/** Runs a verb from the command line: its output on standard output, what goes wrong on standard error, an exit code. */
import { BootOptionsRefusedError, BootOptionsUnverifiedError } from '../linux/efivars.ts';
import type { Host } from '../linux/host.ts';
import { UsageError } from '../linux/usage-error.ts';
import { LocalRefusedError, LocalUnverifiedError } from '../protocol/local-content.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { plain } from '../protocol/plain.ts';
import { PointerRefusedError, PointerStoreError } from '../protocol/pointer/store.ts';
import { VERSION } from '../protocol/version.ts';
import { wordsOf } from '../protocol/words-of.ts';
import { groupHelp, programHelp, verbHelp } from './help.ts';
import { parseArguments } from './parse.ts';
import { SUPERVISE } from './supervise.ts';
import { VERBS } from './table.ts';

/** Gives the exit code, as `--help` lists them. Nothing that is printed steers a terminal. */
export function runVerb(host: Host, args: readonly string[]): number {
  try {
    return obey(host, args, (text) => host.print(plain(text)));
  } catch (error) {
    const message = wordsOf(error);
    // One line, whatever a device or a tool has put into it.
    host.complain(`agent: ${plain(message).replaceAll('\n', ' ')}`);
    return exitCodeOf(error);
  }
}

function obey(host: Host, args: readonly string[], print: (text: string) => void): number {
  const [first, second] = args;
  // `agent help pointer set` is `agent pointer set --help`.
  if (first === 'help') return obey(host, [...args.slice(1), '--help'], print);
  const named = VERBS.find(({ name }) => name === first || name === `${first} ${second}`);
  if (named === undefined) return obeyNone(args, host.runtime, print);
  const given = parseArguments(named, args.slice(named.name.split(' ').length));
  if (given !== 'help') return named.run(host, given, print) ?? 0;
  print(verbHelp(named));
  return 0;
}

/** Where the words name no verb, or only the group of some. */
function obeyNone(
  [first = '', second]: readonly string[],
  runtime: Host['runtime'],
  print: (text: string) => void,
): number {
  const asked = (word: string | undefined): boolean => word === '--help' || word === '-h';
  const group = VERBS.filter(({ name }) => name.startsWith(`${first} `));
  if (asked(first)) print(programHelp([...VERBS, SUPERVISE]));
  else if (first === '--version') print(`agent ${VERSION} (protocol ${PROTOCOL_VERSION}, ${runtime})`);
  else if (first === SUPERVISE.name) print(verbHelp(SUPERVISE));
  else if (group.length > 0 && asked(second)) print(groupHelp(first, group));
  else if (group.length > 0)
    throw new UsageError(
      `${second === undefined ? `${first} what?` : `there is no verb "${first} ${second}":`} ` +
        `${group.map(({ name }) => name).join(', ')} (agent ${first} --help)`,
    );
  else if (first === '')
    throw new UsageError(
      'no verb was named, and this system is up already: the agent boots nodes as process 1 (agent --help lists the verbs)',
    );
  else throw new UsageError(`there is no verb "${first}" (agent --help lists them)`);
  return 0;
}

/** One that is both is the first. */
const REFUSED = [PointerRefusedError, LocalRefusedError, BootOptionsRefusedError];
const UNVERIFIED = [PointerStoreError, LocalUnverifiedError, BootOptionsUnverifiedError];

function exitCodeOf(error: unknown): number {
  const is = (kinds: readonly (new () => Error)[]) => kinds.some((kind) => error instanceof kind);
  if (error instanceof UsageError) return 2;
  if (is(REFUSED)) return 4;
  return is(UNVERIFIED) ? 5 : 1;
}
