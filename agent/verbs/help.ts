/** What `--help` says: of a verb, of a group of verbs, of the program. Pure. */
import type { CommandLine, OptionSpec } from './verb.ts';

const WIDTH = 110;

const EXIT_CODES = [
  ['0', 'done'],
  ['1', 'a file or device could not be read or written'],
  ['2', 'wrong usage'],
  ['3', 'no usable boot pointer is in force (verify)'],
  ['4', 'refused: nothing was written'],
  ['5', 'written, but not verified: read it back before the next boot'],
] as const;

/** What a list of verbs says of one. */
type Listed = Pick<CommandLine, 'name' | 'about'>;

export function verbHelp(verb: CommandLine): string {
  const { operand } = verb;
  const shown = operand && (operand.optional ? `[${operand.name}]` : operand.name);
  const parts = [
    `Usage: agent ${[verb.name, '[options]', shown].filter(Boolean).join(' ')}`,
    sentence(verb.about),
    operand && columns([[operand.name, operand.about]]),
    `Options:\n${columns([...verb.options.map(optionRow), ['--help', 'print this']])}`,
    verb.notes,
    examples(verb.examples),
    exitCodes(verb.exitCodes),
  ];
  return parts.filter((part) => part !== undefined).join('\n\n');
}

/** Of the whole program. */
export function programHelp(verbs: readonly Listed[]): string {
  return [
    'Usage: agent VERB [options]',
    listed(verbs),
    `Options:\n${columns([
      ['--help', 'print this; behind a verb, what that takes'],
      ['--version', 'print the version'],
    ])}`,
    examples(['agent uid', 'agent pointer show --store uboot-env:/dev/vda']),
    exitCodes(),
  ].join('\n\n');
}

/** Of the verbs that begin with the same word. */
export function groupHelp(word: string, verbs: readonly Listed[]): string {
  return [
    `Usage: agent ${word} VERB [options]`,
    listed(verbs),
    examples(verbs.map(({ name }) => `agent ${name} --help`)),
    exitCodes(),
  ].join('\n\n');
}

function listed(verbs: readonly Listed[]): string {
  return `Verbs:\n${columns(verbs.map(({ name, about }) => [name, about]))}`;
}

function examples(lines: readonly string[]): string {
  return `Examples:\n${lines.map((line) => `  ${line.replaceAll('\n', '\n  ')}`).join('\n')}`;
}

function exitCodes(codes: CommandLine['exitCodes'] = EXIT_CODES): string {
  return `Exit codes:\n${columns(codes)}`;
}

/** Names in a column of their own, what is said of them wrapped beside it. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4;
  return rows
    .map(([name, about]) => {
      const [first = '', ...more] = wrapped(about, WIDTH - left);
      return [`  ${name}`.padEnd(left) + first, ...more.map((line) => ' '.repeat(left) + line)].join('\n');
    })
    .join('\n');
}

function optionRow({ name, value, about, required }: OptionSpec): [string, string] {
  return [`--${name}${value === undefined ? '' : ` ${value}`}`, about + (required ? ' (required)' : '')];
}

function sentence(about: string): string {
  return wrapped(`${about[0]!.toUpperCase()}${about.slice(1)}.`).join('\n');
}

/** In lines of at most `width` characters, or a word. */
export function wrapped(text: string, width = WIDTH): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
