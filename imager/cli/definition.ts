/** `imager node define` and `undefine`: which nodes are of the cluster. */
import { type Command, InvalidArgumentError } from 'commander';
import { MAX_NUMBER } from '../../agent/protocol/local-content.ts';
import type { Membership, Undefined } from '../model/views.ts';
import { Context } from './context.ts';
import { fields, printable, time } from './table.ts';

export function addDefinition(node: Command): void {
  node
    .command('define')
    .description('have a node defined to the cluster at its next hello')
    .argument('<name>', 'name of the node')
    .option(
      '--number <number>',
      'its number in the cluster, else that it is defined with, else its place in the configuration or the first that is free',
      wholeNumber,
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Needed where agents.enrolment is 'asked', and for a node that was undefined. A node that lost its key is undefined first.

Examples:
  imager node define node1
  imager node define node1 --number 7`,
    )
    .action(async (name: string, { number }: { number?: number }, command: Command) => {
      const context = new Context(command);
      const path = `/control/nodes/${encodeURIComponent(name)}/define`;
      const body = number === undefined ? {} : { number };
      context.print(await context.post<Membership>(path, body), (done) => fields(membershipFields(done)));
    });
  node
    .command('undefine')
    .description('delete the definition of a node: it has to be defined again before it may join')
    .argument('<name>', 'name of the node')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
A node that is away erases its own copy at its next hello, and is refused until then. Its number is free from now on: what it was
defined with by --number is asked for again.

Example:
  imager node undefine node1`,
    )
    .action(async (name: string, _options, command: Command) => {
      const context = new Context(command);
      const path = `/control/nodes/${encodeURIComponent(name)}/undefine`;
      context.print(await context.post<Undefined>(path, {}), undefinedText);
    });
}

function undefinedText({ node, defined, erased }: Undefined): string {
  const what = defined ? 'undefined' : 'was not defined';
  if (!erased) return `${node}: ${what}; its own copy is erased at its next hello`;
  return defined
    ? `${node}: undefined here and on the node`
    : `${node}: was not defined; it is not taken in before imager node define ${node}`;
}

/** The lines of `node show` about the definition. */
export function membershipFields({ definition, standing }: Membership): (readonly [string, string])[] {
  const lines: (readonly [string, string])[] = [];
  if (definition === null) lines.push(['definition', '-']);
  else {
    const { id, number, uid, keyed, disk, state, correcting, at } = definition;
    const place = keyed ? (disk === null ? '' : `, its key on disk ${disk}`) : ', without a key';
    lines.push(
      ['definition', printable(`${id}, ${state}, ${time(at)}${place}`)],
      ['number', String(number)],
      ['defined UID', printable(correcting === null ? uid : `${uid} -> ${correcting}`)],
    );
  }
  if (standing !== null)
    lines.push(['enrolment', standing === 'wanted' ? 'at its next hello' : 'not before it is defined again']);
  return lines;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > MAX_NUMBER)
    throw new InvalidArgumentError(`a whole number from 1 to ${MAX_NUMBER}`);
  return number;
}
