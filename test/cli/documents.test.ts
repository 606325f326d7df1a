/** What the documents show of the command line, of `make` and of the configuration is what there is. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { commandLine } from '../../imager/cli/program.ts';
import { configFile } from '../../imager/model/schema.ts';

const rooms = ['imager', 'firmware-stubs'].flatMap((house) =>
  readdirSync(projectFile(house)).map((room) => join(house, room, 'README.md')),
);
const documents = ['README.md', 'ARCHITECTURE.md', ...rooms].flatMap((name) => {
  try {
    return [{ name, text: readFileSync(projectFile(name), 'utf8') }];
  } catch {
    return [];
  }
});

/** `imager ...` at the start of a code line, after `&&`, or alone between backquotes; without remark. */
const shown = documents.flatMap(({ name, text }) =>
  [...text.matchAll(/(?:^ {4}|&& |`)(imager [a-z]+ [^`\n]*?)(?= {2,}|\s*$| &&|`| \|)/gm)].map(([, line]) => [
    name,
    line!.replaceAll(/"[^"]*"/g, 'WORD'),
  ]),
);

const imager: Command = await commandLine();

/** What is wrong with a line of the command line; undefined where nothing is. */
function fault(line: string): string | undefined {
  const words = line.split(/\s+/).slice(1);
  let command = imager;
  for (;;) {
    const next = command.commands.find((each) => each.name() === words[0]);
    if (next === undefined) break;
    command = next;
    words.shift();
  }
  if (command.commands.length > 0) return `no verb ${words[0]}`;
  const known = ['--config', '--help', ...command.options.flatMap(({ long }) => long ?? [])];
  return words.filter((word) => word.startsWith('--') && !known.includes(word))[0];
}

test('the commands shown are enough to be worth a look', () => expect(shown.length).toBeGreaterThan(30));

test.each(shown)('%s: %s', (_name, line) => expect(fault(line!)).toBeUndefined());

test('a wrong one would be found', () => {
  expect(fault('imager node boot node1')).toBe('no verb boot');
  expect(fault('imager node boots node1 --folow')).toBe('--folow');
});

test('the targets of make are those there are', () => {
  const makefile = readFileSync(projectFile('Makefile'), 'utf8');
  const targets = new Set([...makefile.matchAll(/^([a-z]+):.* ## /gm)].map(([, target]) => target));
  for (const { name, text } of documents)
    for (const [, target] of text.matchAll(/(?:^ {4}|`)make ([a-z]+)/gm))
      expect(targets, name).toContain(target);
});

test('the configuration of the README is one, piece by piece and together', () => {
  const { text } = documents[0]!;
  const pieces = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, piece]) => parse(piece!) as object);
  expect(pieces.length).toBeGreaterThan(1);
  const found = configFile.safeParse(Object.assign({}, ...pieces));
  expect(found.error?.issues ?? []).toEqual([]);
});
