/** `agent local` as a technician uses it, on both runtimes: what it prints, and its exit codes as a program. No key is ever printed. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalFolder, openLocalFolder } from '../../agent/linux/local-folder.ts';
import { openLocalStore } from '../../agent/linux/local-store.ts';
import { lockState, lockStore } from '../../agent/linux/state-lock.ts';
import { NodeHost } from '../../agent/node/host.ts';
import type { LocalStore } from '../../agent/protocol/definition.ts';
import { buildAgentsFirst, RUNTIMES } from '../support/agent-process.ts';
import { type Ended, quickVerb, runAgent, verb as runHere, verbOn } from '../support/agent-verbs.ts';
import { definitionOf, uuid } from './definitions.ts';

buildAgentsFirst();

let dir: string;
let state: string;
let eeprom: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'local-verbs-'));
  state = join(dir, 'state');
  eeprom = join(dir, 'eeprom');
  writeFileSync(eeprom, new Uint8Array(16_384));
});
afterEach(() => rmSync(dir, { recursive: true }));

function withoutKey(ended: Ended): Ended {
  expectNoKey(ended.out + ended.err);
  return ended;
}

/** Without a process for each: what ends well prints. */
function verb(...args: string[]): string {
  return withoutKey(runHere(...args)).out;
}

function expectNoKey(said: string): void {
  for (const definition of [definitionOf(1), definitionOf(2)])
    for (const form of ['hex', 'base64', 'latin1'] as const)
      expect(said).not.toContain(Buffer.from(definition.key.subarray(0, 6)).toString(form));
  expect(said).not.toContain('"key"');
  expect(said).not.toContain('160'); // The first byte of every key, as a number.
}

const PLACES: [
  what: string,
  place: () => string[],
  where: () => string,
  open: () => LocalStore,
  lock: () => () => void,
][] = [
  [
    'an EEPROM',
    () => ['--store', `uboot-env:${eeprom}`],
    () => `uboot-env:${eeprom}`,
    () => openLocalStore(new NodeHost(), { layout: 'uboot-env', device: eeprom })!,
    () => lockStore(new NodeHost(), eeprom),
  ],
  [
    'a folder',
    () => ['--state', state],
    () => state,
    () => openLocalFolder(new NodeHost(), state),
    () => lockState(new NodeHost(), state),
  ],
];

describe.each(RUNTIMES.flatMap((runtime) => PLACES.map((place) => [runtime, ...place] as const)))(
  '%s: %s',
  (runtime, _what, place, where, open, lock) => {
    const words = (name: string, ...args: string[]) => ['local', name, ...args, ...place()];
    const local = async (name: string, ...args: string[]) =>
      withoutKey(await quickVerb(runtime, ...words(name, ...args))).out;
    const refused = async (name: string, ...args: string[]) =>
      withoutKey(await runAgent(runtime, ...words(name, ...args)));

    it('is shown in words and as JSON, and forgotten by name or id', async () => {
      expect(await local('show')).toBe(`${where()}: this node is defined in no cluster\n`);
      for (const cluster of [1, 2]) open().define(definitionOf(cluster));
      open().point({ current: uuid(1), target: uuid(2) });
      const two = [
        'cluster lab2, target',
        `  id          ${uuid(2)}`,
        '  node        7 node1',
        `  definition  ${uuid(0x2001)}`,
        '  uid         6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601',
        '  imagers     10.77.0.1, 10.77.0.2',
      ];
      const text = (await local('show')).trimEnd().split('\n');
      expect([text[0], text[1], ...text.slice(7)]).toEqual([`${where()}:`, 'cluster lab1, current', ...two]);
      const json = JSON.parse(await local('show', '--json'));
      const { key: _key, signer: _signer, ...shown } = definitionOf(1);
      expect(json).toMatchObject({ store: where(), current: uuid(1), target: uuid(2) });
      expect(json.definitions[0]).toEqual(shown);

      expect(await local('erase', 'lab1')).toBe([`${where()}:`, ...two, ''].join('\n'));
      expect(open().read()).toEqual({ definitions: [definitionOf(2)], current: null, target: uuid(2) });
      expect(await refused('erase', 'lab1')).toMatchObject({
        code: 4,
        err: expect.stringContaining('no definition to'),
      });
      expect(await local('erase', uuid(2))).toBe(`${where()}: this node is defined in no cluster\n`);
    });

    it('names one of two clusters of one name by its id', async () => {
      open().define(definitionOf(1));
      open().define({ ...definitionOf(2), cluster: { name: 'lab1', id: uuid(2) } });
      expect((await refused('erase', 'lab1')).err).toContain(
        `two clusters are called lab1: ${uuid(1)}, ${uuid(2)}; name one id`,
      );
      await local('erase', uuid(1));
      expect(open().read().definitions).toHaveLength(1);
    });

    it('is not written while another agent is at work', async () => {
      open().define(definitionOf(1));
      const release = lock();
      expect(await refused('erase', 'lab1')).toMatchObject({
        code: 4,
        err: expect.stringContaining(`is locked: another agent is at work here (process ${process.pid}: `),
      });
      expect(await local('show')).toContain('cluster lab1');
      release();
      await local('erase', '--all');
      expect(open().read().definitions).toEqual([]);
    });
  },
);

it.each(RUNTIMES)(
  '%s: who is at work there is told by whatever name its store is called',
  async (runtime) => {
    const link = join(dir, 'by-id');
    symlinkSync('eeprom', link);
    const release = lockStore(new NodeHost(), link);
    for (const name of [eeprom, link, relative(process.cwd(), eeprom)])
      expect(
        await runAgent(runtime, 'local', 'erase', '--all', '--store', `uboot-env:${name}`),
      ).toMatchObject({
        code: 4,
        err: expect.stringContaining(
          `${name} is locked: another agent is at work here (process ${process.pid}: `,
        ),
      });
    release();
  },
);

it.each(RUNTIMES)('%s: what is damaged is said, and forgotten only with --all', async (runtime) => {
  openLocalFolder(new NodeHost(), state).define(definitionOf(1));
  const key = join(state, 'clusters', uuid(1), '1', 'key');
  writeFileSync(key, readFileSync(key, 'utf8').replace('a', 'b'));
  for (const args of [['show'], ['erase', 'lab1']])
    expect(withoutKey(await runAgent(runtime, 'local', ...args, '--state', state))).toEqual({
      ...{ code: 1, out: '' },
      err:
        `agent: ${key} is damaged: its CRC-32 is not that in sums; ` +
        `\`agent local erase --all --state ${state}\` forgets everything that is there\n`,
    });
  verb('local', 'erase', '--all', '--state', state);
  expect(new LocalFolder(new NodeHost(), state).read().definitions).toEqual([]);
});

it('a folder whose name has blanks and quotes is in quotes where a command is told', () => {
  const named = join(state, "node's state");
  openLocalFolder(new NodeHost(), named).define(definitionOf(1));
  writeFileSync(join(named, 'clusters/index.json'), 'x');
  const word = `'${named.replace("'", "'\\''")}'`;
  const { err } = withoutKey(runHere('local', 'show', '--state', named));
  expect(err).toContain(`\`agent local erase --all --state ${word}\` forgets`);
});

it('a folder that was named goes before the store the node booted by, whose keys are another', () => {
  class Booted extends NodeHost {
    override readFile(path: string): Uint8Array {
      if (path !== '/proc/cmdline') return super.readFile(path);
      const network =
        'bootwright.node=n1 bootwright.image=a ip=10.77.0.11::10.77.0.1:255.255.255.0:n1:eth0:off';
      return new TextEncoder().encode(`${network} bootwright.pointer=uboot-env:${eeprom}\n`);
    }
  }
  openLocalStore(new NodeHost(), { layout: 'uboot-env', device: eeprom })!.define(definitionOf(1));
  openLocalFolder(new NodeHost(), state).define(definitionOf(2));
  const local = (...args: string[]) => withoutKey(verbOn(new Booted(), 'local', ...args)).out;
  expect(local('show')).toContain('cluster lab1');
  expect(local('show', '--state', state)).toContain('cluster lab2');
  local('erase', '--all', '--state', state);
  expect(new LocalFolder(new NodeHost(), state).read().definitions).toEqual([]);
  expect(local('show')).toContain('cluster lab1');
});

it('no agent at work on this machine keeps another chip from being erased', () => {
  openLocalStore(new NodeHost(), { layout: 'uboot-env', device: eeprom })!.define(definitionOf(1));
  const release = lockState(new NodeHost(), state);
  verb('local', 'erase', '--all', '--store', `uboot-env:${eeprom}`, '--state', state);
  release();
  expect(verb('local', 'show', '--store', `uboot-env:${eeprom}`)).toContain('defined in no cluster');
});

it.each(RUNTIMES)('%s: a store without room is said', async (runtime) => {
  writeFileSync(eeprom, new Uint8Array(8192));
  expect(await runAgent(runtime, 'local', 'show', '--store', `uboot-env:${eeprom}`)).toMatchObject({
    ...{ code: 4, out: '' },
    err: expect.stringMatching(/there is no local store: .*8192 bytes.*no room/),
  });
});

it.each(RUNTIMES)('%s: erase wants one cluster, or all', async (runtime) => {
  for (const args of [[], ['lab1', '--all']])
    expect(await runAgent(runtime, 'local', 'erase', ...args, '--state', state)).toEqual({
      ...{ code: 2, out: '' },
      err: 'agent: nothing erased: name one cluster, or --all\n',
    });
});

it('no verb for boot pointers shows what is behind them', () => {
  const store = `uboot-env:${eeprom}`;
  openLocalStore(new NodeHost(), { layout: 'uboot-env', device: eeprom })!.define(definitionOf(1));
  const set = '--image alpha --disk root --imager 10.77.0.1 --cluster lab1'.split(' ');
  verb('pointer', 'set', '--store', store, ...set);
  for (const name of ['show', 'history', 'verify'])
    for (const more of [[], ['--json']]) {
      const out = verb('pointer', name, '--store', store, ...more);
      expect(out).toContain('alpha');
      expect(out).not.toContain(uuid(1));
    }
});
