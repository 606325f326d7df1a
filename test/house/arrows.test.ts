/** The arrows of the house (ARCHITECTURE.md): who may import whom, and that no file imports itself in a circle. */
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { filesIn } from '../support/folders.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Each room with the rooms it may import, apart from itself. The longest matching prefix names a file's room. */
const STORES = ['imager/registry', 'imager/journal', 'imager/disks', 'imager/images', 'imager/model'];
const MAY_IMPORT: Record<string, string[]> = {
  'agent/protocol': [],
  'agent/ports.ts': ['agent/protocol', 'agent/core'],
  'agent/core': ['agent/protocol', 'agent/ports.ts'],
  'agent/linux': ['agent/protocol', 'agent/core', 'agent/ports.ts'],
  'agent/main.ts': ['agent/protocol', 'agent/core', 'agent/linux', 'agent/ports.ts'],
  'agent/supervise.ts': ['agent/protocol', 'agent/core', 'agent/linux', 'agent/ports.ts', 'agent/verbs'],
  'agent/verbs': ['agent/protocol', 'agent/linux'],
  'agent/program.ts': ['agent/linux', 'agent/main.ts', 'agent/supervise.ts', 'agent/verbs'],
  'agent/quickjs': ['agent/protocol', 'agent/linux', 'agent/program.ts'],
  'agent/node': ['agent/protocol', 'agent/linux', 'agent/program.ts', 'agent/node/signatures.ts'],
  'agent/node/signatures.ts': ['agent/linux'],
  'imager/journal': [],
  'imager/storage': [],
  'imager/signing': ['imager/storage'],
  'imager/registry': ['agent/protocol'],
  'imager/model': ['agent/protocol'],
  'imager/disks': ['agent/protocol', 'imager/registry', 'imager/journal', 'imager/storage', 'imager/native'],
  'imager/images': [
    ...['agent/protocol', 'imager/registry', 'imager/journal', 'imager/storage', 'imager/signing'],
  ],
  'imager/menus': ['agent/protocol', 'imager/images', 'imager/journal', 'imager/model'],
  'imager/dhcp': ['agent/protocol', 'imager/udp', ...STORES],
  'imager/native': [],
  'imager/udp': ['imager/native'],
  'imager/tftp': ['agent/protocol', 'imager/udp', ...STORES],
  'imager/packs': ['agent/protocol', 'imager/storage', ...STORES],
  'imager/nbd': ['agent/protocol', 'imager/native', ...STORES],
  'imager/http': ['agent/protocol', ...STORES, 'imager/menus'],
  'imager/definitions': ['agent/protocol', 'imager/registry', 'imager/model', 'imager/signing'],
  'imager/agents': ['agent/protocol', ...STORES, 'imager/definitions', 'imager/signing'],
  'imager/serial': ['agent/protocol', 'imager/storage'],
  'imager/explain': ['agent/protocol', 'imager/dhcp', 'imager/tftp', 'imager/journal', 'imager/model'],
  'imager/service.ts': [
    ...['agent/protocol', ...STORES, 'imager/service', 'imager/menus'],
    ...['imager/dhcp', 'imager/tftp', 'imager/nbd', 'imager/http', 'imager/agents', 'imager/udp'],
    ...['imager/packs', 'imager/definitions'],
  ],
  'imager/service': [
    ...['agent/protocol', ...STORES, 'imager/dhcp', 'imager/http', 'imager/agents', 'imager/menus'],
    ...['imager/packs', 'imager/storage', 'imager/definitions', 'imager/signing'],
  ],
  'imager/cli': [
    'agent/protocol',
    'agent/quickjs',
    'imager/explain',
    ...STORES,
    'imager/menus',
    'imager/serial',
    'imager/service.ts',
    'imager/storage',
    'firmware-stubs/rig/scenario',
    'firmware-stubs/simulated/lab',
  ],
  'firmware-stubs/rig/scenario': [
    ...['agent/protocol', 'imager/journal', 'imager/model', 'imager/images', 'firmware-stubs/rig'],
  ],
  'firmware-stubs/bios': [],
  'firmware-stubs/rig': ['agent/protocol', 'firmware-stubs/bios', 'imager/journal'],
  'firmware-stubs/uboot': [],
  'firmware-stubs/ipxe': [],
  'firmware-stubs/uefi': [],
  'firmware-stubs/simulated': ['agent/protocol'],
  'firmware-stubs/simulated/lab': [
    ...[
      'agent/protocol',
      'agent/linux',
      'agent/main.ts',
      'agent/node/signatures.ts',
      'firmware-stubs/simulated',
    ],
    ...['firmware-stubs/rig', 'firmware-stubs/rig/scenario'],
    ...['imager/agents', 'imager/service', 'imager/model', 'imager/registry', 'imager/journal'],
    ...['imager/definitions', 'imager/images', 'imager/signing'],
  ],
  'firmware-stubs/demo': ['agent/protocol', 'firmware-stubs/rig', 'imager/journal'],
};

function sources(folder: string): string[] {
  return filesIn(join(ROOT, folder))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => relative(ROOT, file));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const found = [
    ...text.matchAll(/^(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*['"](\.[^'"]+)['"];$/gm),
    ...text.matchAll(/\bawait import\('(\.[^']+)'\)/g),
  ];
  return found.map(([, path]) => relative(ROOT, resolve(ROOT, dirname(file), path!)));
}

function roomOf(file: string): string {
  const rooms = Object.keys(MAY_IMPORT).filter((room) => file === room || file.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? `(no room for ${file})`;
}

const FILES = ['agent', 'imager', 'firmware-stubs'].flatMap(sources);

it('every file has a room', () => {
  expect(FILES.length).toBeGreaterThan(20);
  expect(FILES.map(roomOf).filter((room) => room.startsWith('('))).toEqual([]);
});

it('rooms import only what the house allows', () => {
  const against = FILES.flatMap((file) =>
    importsOf(file)
      .filter((target) => {
        const [from, to] = [roomOf(file), roomOf(target)];
        return from !== to && !MAY_IMPORT[from]?.includes(to);
      })
      .map((target) => `${file} -> ${target}`),
  );
  expect(against).toEqual([]);
});

it('the command line loads the rigs only where they are asked for: until then it knows types of theirs', () => {
  const loaded = FILES.filter((file) => file.startsWith('imager/')).flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/^import (?!type ).*firmware-stubs.*$/gm)].map(
      ([line]) => `${file}: ${line}`,
    ),
  );
  expect(loaded).toEqual([]);
});

it('no imports run in a circle', () => {
  const state = new Map<string, 'open' | 'done'>();
  const circles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      return;
    }
    state.set(file, 'open');
    for (const target of importsOf(file)) if (FILES.includes(target)) visit(target, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of FILES) visit(file, []);
  expect(circles).toEqual([]);
});

it('cbor-x is imported in agent/protocol alone', () => {
  const users = FILES.filter((file) => /from 'cbor-x'/.test(readFileSync(join(ROOT, file), 'utf8')));
  expect(users.map(dirname).filter((folder) => !folder.startsWith('agent/protocol'))).toEqual([]);
});

it('serialport is imported in imager/serial/port.ts alone', () => {
  const users = FILES.filter((file) => /'serialport'/.test(readFileSync(join(ROOT, file), 'utf8')));
  expect(users).toEqual(['imager/serial/port.ts']);
});

it('files stay readable: about 300 lines at most', () => {
  const long = FILES.map((file) => [file, readFileSync(join(ROOT, file), 'utf8').split('\n').length] as const)
    .filter(([, lines]) => lines > 320)
    .map(([file, lines]) => `${file}: ${lines}`);
  expect(long).toEqual([]);
});
