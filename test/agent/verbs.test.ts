/** Command lines of the agent's verbs, read and shown. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { UsageError } from '../../agent/linux/usage-error.ts';
import { parseArguments } from '../../agent/verbs/parse.ts';
import { parseSuperviseOptions, SUPERVISE } from '../../agent/verbs/supervise.ts';
import { VERBS } from '../../agent/verbs/table.ts';
import type { CommandLine } from '../../agent/verbs/verb.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';

const LINES: readonly CommandLine[] = [...VERBS, SUPERVISE];

/** Arguments that a verb takes, and what they come to: options in any order, in either form. */
function obeyed(
  verb: CommandLine,
): fc.Arbitrary<{ args: string[]; values: Map<string, string[]>; operand?: string }> {
  const some = verb.options.map(({ name, value, required }) => {
    const one = fc.tuple(fc.constant(name), fc.string({ minLength: 1 }), fc.boolean());
    const most = value === undefined ? 1 : 3;
    return fc
      .array(one, { minLength: required ? 1 : 0, maxLength: most })
      .map((all) => (value === undefined ? all.map(([each]) => [each] as const) : all));
  });
  const operand = verb.operand === undefined ? fc.constant(undefined) : fc.string();
  return fc
    .tuple(
      fc.tuple(...some).chain((all) => fc.shuffledSubarray(all.flat(), { minLength: all.flat().length })),
      operand,
    )
    .map(([options, last]) => {
      const values = new Map<string, string[]>();
      const args = options.flatMap(([name, value, joined]) => {
        values.set(name, [...(values.get(name) ?? []), ...(value === undefined ? [] : [value])]);
        if (value === undefined) return [`--${name}`];
        return joined ? [`--${name}=${value}`] : [`--${name}`, value];
      });
      return last === undefined ? { args, values } : { args: [...args, '--', last], values, operand: last };
    });
}

it.each(LINES.map((verb) => [verb.name, verb] as const))(
  '%s takes its options in any order and form',
  (_name, verb) => {
    fc.assert(
      fc.property(obeyed(verb), ({ args, values, operand }) => {
        const given = parseArguments(verb, args);
        if (given === 'help') throw new Error('no help was asked for');
        expect(given.operand).toBe(operand);
        for (const { name, value } of verb.options) {
          expect(given.has(name)).toBe(values.has(name));
          if (value === undefined) continue;
          expect(given.all(name)).toEqual(values.get(name) ?? []);
          expect(given.one(name)).toBe(values.get(name)?.at(-1));
        }
      }),
      { numRuns: 30 },
    );
  },
);

it('whatever is typed, a verb is asked to do what it takes, or the usage is wrong', () => {
  const words = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '--',
      '-',
      '-h',
      '--help',
      ...LINES.flatMap(({ options }) => options.map(({ name }) => `--${name}`)),
    ),
  );
  fc.assert(
    fc.property(fc.constantFrom(...LINES), fc.array(words, { maxLength: 6 }), (verb, args) => {
      try {
        const given = parseArguments(verb, args);
        if (given === 'help') expect(args.some((word) => ['-h', '--help'].includes(word))).toBe(true);
        else
          for (const { name, required } of verb.options)
            if (required) expect(given.needed(name)).not.toBe('');
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }),
    { numRuns: 2000 },
  );
});

/** `agent ...` at the start of a code line of the README, without its remark; the first of alternatives. */
const shown = [
  ...readFileSync(projectFile('README.md'), 'utf8').matchAll(/^ {4}(agent [a-z].*?)(?= {2,}|$)/gm),
].map(([, line]) =>
  line!
    .replaceAll(/\|[a-z|]+/g, '')
    .split(' ')
    .slice(1),
);

it('the README shows enough of them to be worth a look', () => expect(shown.length).toBeGreaterThan(6));

it.each(shown.map((words) => [words.join(' '), words] as const))('README: agent %s', (_line, words) => {
  if (words[0] === 'supervise') return void parseSuperviseOptions(words.slice(1));
  const verb = VERBS.find(({ name }) => name === words[0] || name === `${words[0]} ${words[1]}`)!;
  parseArguments(verb, words.slice(verb.name.split(' ').length));
});

it('examples are what the verbs take', () => {
  for (const { name, examples } of LINES)
    for (const example of examples) {
      const words = example.replaceAll('\\\n', '').split(/ && | +/);
      const verb = LINES.find((each) => words.slice(1).join(' ').startsWith(each.name))!;
      expect(verb.name).toBe(name);
      parseArguments(
        verb,
        words.slice(1 + name.split(' ').length).filter((word) => word !== 'reboot'),
      );
    }
});
