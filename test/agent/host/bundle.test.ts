/** What the static program reads when: modules, and which of them import which. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleProgram, packModules } from '../../../agent/quickjs/bundle.ts';
import { projectFile } from '../../../firmware-stubs/rig/project.ts';

const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
let names: string[];
beforeAll(async () => {
  names = await bundleProgram(projectFile('agent/quickjs'), projectFile('agent/quickjs/main.ts'), folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = (name: string): string => readFileSync(join(folder, `${name}.js`), 'utf8');

/** The text of the module that a dynamic import of `file` gives, and of all that it imports. */
function readFor(file: string): string {
  const found = names.find((name) => new RegExp(`^${file}-[0-9A-Z]{8}$`).test(name))!;
  return readWith('main', found);
}

/** The text of modules, and of all that they import. */
function readWith(...first: string[]): string {
  const all = new Set(first);
  // A set goes on to what is added while it is gone through.
  for (const name of all)
    for (const [, imported] of text(name).matchAll(/(?:from|import) "\.\/([^"]+)\.js"/g)) all.add(imported!);
  return [...all].map(text).join('\n');
}

test('the entry comes first, the libraries are there, and nothing twice', () => {
  expect(names[0]).toBe('main');
  expect(names).toEqual(expect.arrayContaining(['cbor-x', 'zod-mini']));
  expect(new Set(names).size).toBe(names.length);
});

const VERBS = /"pointer set"/;
const LIBRARIES = /currentStructures|ZodMiniType/;

test('what a process does not do it does not read', () => {
  expect(readFor('run')).toMatch(VERBS);
  for (const file of ['main', 'supervise', 'keeper']) expect(readFor(file), file).not.toMatch(VERBS);
  expect(readFor('main')).toMatch(/function bootNode/);
  for (const file of ['supervise', 'keeper', 'run'])
    expect(readFor(file), file).not.toMatch(/function bootNode/);
  expect(readFor('keeper')).toMatch(/function keepDisk/);
  for (const file of ['supervise', 'run']) expect(readFor(file), file).not.toMatch(/function keepDisk/);
});

test('libraries are in no module but their own', () => {
  expect(text('cbor-x')).toMatch(LIBRARIES);
  expect(text('zod-mini')).toMatch(LIBRARIES);
  for (const file of ['main', 'supervise', 'keeper', 'run'])
    expect(readFor(file), file).not.toMatch(LIBRARIES);
});

test('what a node does later, or with another kind of EEPROM, is read at its first use', () => {
  for (const [name, own] of [
    ['linux-resources-discover', /CONTROLLERS = \[/],
    ['linux-rpi-eeprom', /var RpiImageError = class/],
    ['linux-fw-env', /var FwEnvConfigError = class/],
    ['linux-local-eeprom', /var LocalSlots = class/],
    ['quickjs-nbd-netlink', /function reconfigureRequest/],
  ] as const) {
    expect(readWith(name), name).toMatch(own);
    for (const file of ['main', 'supervise', 'keeper', 'run'])
      expect(readFor(file), `${file}, ${name}`).not.toMatch(own);
  }
});

test('modules are packed with name, length and bytes, an empty name behind the last', () => {
  const packed = packModules([
    { name: 'main', bytecode: Buffer.from([1, 2]) },
    { name: 'b', bytecode: Buffer.alloc(0x102, 7) },
  ]);
  // main, 2 bytes; b, 0x102 bytes.
  const head = Buffer.from('main\0\x02\0\0\0\x01\x02b\0\x02\x01\0\0', 'latin1');
  expect(packed).toEqual(Buffer.concat([head, Buffer.alloc(0x102, 7), Buffer.from([0])]));
});
