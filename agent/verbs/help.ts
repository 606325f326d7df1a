/** What `--help` says: of a verb, of a group of verbs, of the program. Pure. */
import type { OptionSpec, Verb } from './verb.ts';

const WIDTH = 110;

const EXIT_CODES = `Exit codes:
  0  done
  1  a file or device could not be read or written
  2  wrong usage
  3  no usable boot pointer is in force (verify)
  4  refused: nothing was written
  5  written, but not verified: read it back before the next boot`;

export function verbHelp(verb: Verb): string {
  const { operand } = verb;
  const shown = operand && (operand.optional ? `[${operand.name}]` : operand.name);
  const parts = [
    `Usage: agent ${[verb.name, '[options]', shown].filter(Boolean).join(' ')}`,
    sentence(verb.about),
    operand && columns([[operand.name, operand.about]]),
    `Options:\n${columns([...verb.options.map(optionRow), ['--help', 'print this']])}`,
    verb.notes,
    `Examples:\n${verb.examples.map(indented).join('\n')}`,
    EXIT_CODES,
  ];
  return parts.filter((part) => part !== undefined).join('\n\n');
}

/** `group`: the word that the names of `verbs` begin with; '' for all of them. */
export function groupHelp(group: string, verbs: readonly Pick<Verb, 'name' | 'about'>[]): string {
  const rows = verbs.map(({ name, about }): [string, string] => [name, about]);
  const all = group === '';
  return [
    `Usage: agent ${all ? 'VERB' : `${group} ...`} [options]`,
    `Verbs:\n${columns(rows)}`,
    `Options:\n${columns([
      ['--help', 'print this; behind a verb, what that takes'],
      ...(all ? [['--version', 'print the version'] as [string, string]] : []),
    ])}`,
    `Examples:\n${(all
      ? ['agent uid', 'agent pointer show --store uboot-env:/dev/vda']
      : [`agent ${verbs[0]!.name} --help`]
    )
      .map(indented)
      .join('\n')}`,
    EXIT_CODES,
  ].join('\n\n');
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

function indented(text: string): string {
  return `  ${text.replaceAll('\n', '\n  ')}`;
}

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
