/** imager/model/README.md has every key that the schema has, with its default, and no other. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type * as z from 'zod';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { findContradictions } from '../../imager/model/consistency.ts';
import { configFile } from '../../imager/model/schema.ts';

const text = readFileSync(projectFile('imager/model/README.md'), 'utf8');

/** `required`, `none`, or the default in JSON; sections are of no interest but for whether they must be there. */
type Default = string;

/** What zod keeps of a schema, as far as it is walked here. */
interface Definition {
  type: string;
  innerType?: z.core.$ZodType;
  in?: z.core.$ZodType;
  out?: z.core.$ZodType;
  element?: z.core.$ZodType;
  shape?: Record<string, z.core.$ZodType>;
  keyType?: z.core.$ZodType;
  valueType?: z.core.$ZodType;
  defaultValue?: unknown;
}

const definitionOf = (schema: z.core.$ZodType) => schema._zod.def as Definition;

/** Every key below `schema`, by its path. A section that was met before is not gone into again. */
function keysOf(schema: z.core.$ZodType): Map<string, Default> {
  const keys = new Map<string, Default>();
  const met = new Set<z.core.$ZodType>();
  const visit = (path: string, each: z.core.$ZodType, value: Default): void => {
    const definition = definitionOf(each);
    const { type, innerType } = definition;
    if (type === 'default' || type === 'prefault')
      visit(path, innerType!, JSON.stringify(definition.defaultValue));
    else if (type === 'optional') visit(path, innerType!, 'none');
    else if (type === 'pipe') {
      const opaque = definitionOf(definition.out!).type === 'transform';
      visit(path, opaque ? definition.in! : definition.out!, value);
    } else note(path, each, value);
  };
  const note = (path: string, each: z.core.$ZodType, value: Default): void => {
    const { type, element, shape, valueType } = definitionOf(each);
    if (path !== '' && !path.endsWith('[]'))
      keys.set(path, shape !== undefined && value !== 'required' ? 'none' : value);
    if (type === 'array') visit(`${path}[]`, element!, 'required');
    if (type === 'record')
      visit(`${path}.${path === 'boot.files' ? 'ARCHITECTURE' : 'NAME'}`, valueType!, 'none');
    if (shape === undefined || met.has(each)) return;
    met.add(each);
    for (const [key, inner] of Object.entries(shape))
      visit(path === '' ? key : `${path}.${key}`, inner, 'required');
  };
  visit('', schema, 'required');
  return keys;
}

/** What is one value or a list of such says only in its fault which keys it has. */
function rangeKeys(): string[] {
  const wrong = { state: 's', cluster: 'c', network: { address: '10.0.0.1', prefix: 24, pool: { no: 1 } } };
  const messages = configFile.safeParse(wrong).error!.issues.map(({ message }) => message);
  const found = messages.find((message) => message.startsWith('one of '))!;
  return found.slice('one of '.length).split(', ');
}

const rows = [...text.matchAll(/^\| `([^`]+)` +\| .+? +\| (`[^`]*`|required|none) +\|/gm)].map(
  ([, path, value]) => [path!, value!] as const,
);
const schemaKeys = keysOf(configFile);
for (const key of rangeKeys()) schemaKeys.set(`network.pool.${key}`, 'required');

test('the keys are those of the schema, each once', () => {
  const documented = rows.map(([path]) => path);
  expect(documented.filter((path) => !schemaKeys.has(path))).toEqual([]);
  expect([...schemaKeys.keys()].filter((path) => !documented.includes(path))).toEqual([]);
  expect(new Set(documented).size).toBe(documented.length);
  // All lines that begin with a key are rows of the form that is looked at.
  expect(text.match(/^\| `/gm)).toHaveLength(rows.length);
});

test.each(rows)('%s: %s', (path, value) => {
  const written = value.startsWith('`') ? JSON.stringify(parse(value.slice(1, -1))) : value;
  expect(written).toBe(schemaKeys.get(path));
});

test('the walk goes into sections, lists, records and what is optional', () => {
  expect([...schemaKeys.keys()]).toEqual(
    expect.arrayContaining([
      'ports.dhcpClient',
      'dhcp.subnets[].pools[].from',
      'boot.files.ARCHITECTURE',
      'nodes[].variables.NAME',
      'userConfigs.NAME.scripts[].onFailure',
    ]),
  );
});

test('the examples are a configuration together', () => {
  const pieces = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, piece]) => parse(piece!) as object);
  const found = configFile.safeParse(Object.assign({}, ...pieces));
  expect(found.error?.issues ?? []).toEqual([]);
  expect(pieces.length).toBeGreaterThan(3);
  expect(findContradictions(found.data!)).toEqual([]);
});
