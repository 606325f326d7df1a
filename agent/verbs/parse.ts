/** Command lines of verbs. Pure. */
import { UsageError } from '../linux/usage-error.ts';
import type { CommandLine, Given } from './verb.ts';

/** Reads the arguments behind a verb's name; 'help' where they ask for it. Throws UsageError. */
export function parseArguments(verb: CommandLine, args: readonly string[]): Given | 'help' {
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  let literally = false;
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (literally || !word.startsWith('-') || word === '-') operands.push(word);
    else if (word === '--') literally = true;
    else if (word === '--help' || word === '-h') return 'help';
    else {
      const equals = word.indexOf('=');
      const typed = equals < 0 ? word : word.slice(0, equals);
      const option = verb.options.find(({ name }) => `--${name}` === typed);
      if (option === undefined) throw wrong(verb, `"${typed}" is no option of ${verb.name}`);
      if (option.value === undefined && equals >= 0) throw wrong(verb, `${typed} takes no value`);
      const value = option.value === undefined ? '' : equals < 0 ? args[++at] : word.slice(equals + 1);
      if (value === undefined || (option.value !== undefined && value === ''))
        throw wrong(verb, `${typed}: a value is missing`);
      values.set(option.name, [...(values.get(option.name) ?? []), value]);
    }
  }
  check(verb, values, operands);
  const all = (option: string): string[] => values.get(option) ?? [];
  return {
    operand: operands[0],
    one: (option) => all(option).at(-1),
    needed: (option) => all(option).at(-1)!,
    all,
    has: (option) => values.has(option),
  };
}

function check(verb: CommandLine, values: ReadonlyMap<string, string[]>, operands: readonly string[]): void {
  const missing = verb.options.filter(({ name, required }) => required && !values.has(name));
  if (missing.length > 0)
    throw wrong(verb, `${verb.name}: missing: ${missing.map(({ name }) => `--${name}`).join(', ')}`);
  const { operand } = verb;
  const stray = operands[operand === undefined ? 0 : 1];
  if (stray !== undefined) throw wrong(verb, `${verb.name}: "${stray}" is one word too many`);
  if (operand !== undefined && !operand.optional && operands.length === 0)
    throw wrong(verb, `${verb.name}: missing: ${operand.name}`);
}

/** With where the right usage is said. */
function wrong({ name }: CommandLine, why: string): UsageError {
  return new UsageError(`${why} (agent ${name} --help)`);
}
