/** The local store as a folder: what is in it, damage, and the power cut after any call. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { LocalFolder, openLocalFolder } from '../../agent/linux/local-folder.ts';
import { lockState, lockStore } from '../../agent/linux/state-lock.ts';
import { NodeHost } from '../../agent/node/host.ts';
import type { LocalStore } from '../../agent/protocol/definition.ts';
import { LocalRefusedError, LocalStoreError } from '../../agent/protocol/local-content.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { filesIn } from '../support/folders.ts';
import { CrashDisk, deedsOf } from './crash-files.ts';
import { definitionOf, uuid } from './definitions.ts';

vi.mock('node:fs', async () => (await import('./crash-files.ts')).notingFiles());

const NOTHING = { definitions: [], current: null, target: null };

/** Which calls are made and in which order counts here, not what a busy disk makes of a sync. */
const MEMORY = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

let dir: string;
let state: string;
beforeEach(() => {
  dir = fs.mkdtempSync(join(MEMORY, 'local-'));
  state = join(dir, 'bootwright');
});
afterEach(() => fs.rmSync(dir, { recursive: true }));

const open = (at = state) => openLocalFolder(new QuietHost(), at);
const namesIn = (at: string) =>
  filesIn(at)
    .map((path) => relative(at, path))
    .sort();

test('one folder a cluster, the pointers, the log; private', () => {
  expect(open().read()).toEqual(NOTHING);
  const store = open();
  store.define(definitionOf(1));
  store.define(definitionOf(2));
  store.define(definitionOf(1, 1));
  store.point({ current: uuid(1), target: uuid(2) });
  const content = { definitions: [definitionOf(1, 1), definitionOf(2)], current: uuid(1), target: uuid(2) };
  expect(open().read()).toEqual(content);
  const files = ['cluster.json', 'imagers.json', 'key', 'node.json', 'signer', 'sums'];
  expect(namesIn(state)).toEqual([
    ...files.map((file) => `clusters/${uuid(1)}/2/${file}`),
    ...files.map((file) => `clusters/${uuid(2)}/1/${file}`),
    'clusters/index.json',
    'log/local.log',
  ]);
  for (const file of namesIn(state)) expect(fs.statSync(join(state, file)).mode & 0o777).toBe(0o600);
  const log = fs.readFileSync(join(state, 'log/local.log'), 'utf8');
  expect(log.split('\n').map((line) => line.replace(/^\d+\.\d{3} /, ''))).toEqual([
    `define lab1 ${uuid(1)}: node 7 node1 ${uuid(0x1001)}`,
    `current ${uuid(1)}, target -`,
    `define lab2 ${uuid(2)}: node 7 node1 ${uuid(0x2001)}`,
    `current ${uuid(1)}, target -`,
    `define lab1 ${uuid(1)}: node 8 node1 ${uuid(0x1002)}`,
    `current ${uuid(1)}, target -`,
    `current ${uuid(1)}, target ${uuid(2)}`,
    '',
  ]);
  store.erase(uuid(1));
  store.erase(uuid(9));
  expect(open().read()).toEqual({ definitions: [definitionOf(2)], current: null, target: uuid(2) });
  expect(namesIn(state).filter((file) => file.includes(uuid(1)))).toEqual([]);
});

test('the log keeps the last lines, and what cannot be written of it undoes nothing', () => {
  const store = open();
  for (const cluster of [1, 2]) store.define(definitionOf(cluster));
  for (let i = 0; i < 210; i++) store.point({ current: uuid(1 + (i % 2)), target: null });
  expect(fs.readFileSync(join(state, 'log/local.log'), 'utf8').split('\n')).toHaveLength(201);
  fs.rmSync(join(state, 'log'), { recursive: true });
  fs.writeFileSync(join(state, 'log'), 'a file');
  const host = new QuietHost();
  openLocalFolder(host, state).erase(uuid(2));
  for (const line of host.console) expect(line).toContain('log/local.log: EEXIST');
  expect(host.console).toHaveLength(2);
  expect(open().read().definitions).toEqual([definitionOf(1)]);
});

test('what has faults is refused, and nothing is written', () => {
  open().define(definitionOf(1));
  const before = namesIn(state);
  const deeds = deedsOf(() => {
    expect(() => open().define({ ...definitionOf(2), name: '../x' })).toThrow(LocalRefusedError);
    expect(() => open().define({ ...definitionOf(2), cluster: { name: 'x', id: '../../x' } })).toThrow(
      'cluster id "../../x" is not a UUID',
    );
    expect(() => open().point({ current: uuid(2), target: null })).toThrow('current cluster');
  });
  expect(deeds).toEqual([]);
  expect(namesIn(state)).toEqual(before);
});

describe('damage is an error that names the file, and is never taken for absence', () => {
  const files = ['cluster.json', 'node.json', 'imagers.json', 'key', 'signer', 'sums'];
  const path = (file: string) => join(state, 'clusters', uuid(1), '1', file);
  beforeEach(() => {
    open().define(definitionOf(1));
  });
  const refuses = (file: string) => {
    for (const act of [
      (store: LocalStore) => store.read(),
      (store: LocalStore) => store.define(definitionOf(2)),
      (store: LocalStore) => store.erase(uuid(1)),
      (store: LocalStore) => store.point({ current: null, target: null }),
    ]) {
      const store = new LocalFolder(new QuietHost(), state);
      expect(() => act(store)).toThrow(LocalStoreError);
      expect(() => act(store)).toThrow(`${file} is damaged: `);
    }
  };

  it.each(files)('%s that is gone, empty, shorter, or has one bit turned', (file) => {
    const whole = fs.readFileSync(path(file));
    // Of sums a line that is wrong speaks for the first file it is of.
    const named = file === 'sums' ? 'cluster.json' : file;
    for (const length of [0, 1, whole.length >> 1, whole.length - 2]) {
      fs.writeFileSync(path(file), whole.subarray(0, length));
      if (file !== 'sums' || length < 20) refuses(path(named));
      else expect(() => open().read()).toThrow(' is damaged: ');
    }
    for (const at of [0, 3]) {
      const turned = Buffer.from(whole);
      turned[at]! ^= 1;
      fs.writeFileSync(path(file), turned);
      refuses(path(named));
    }
    fs.rmSync(path(file));
    refuses(path(file));
    fs.writeFileSync(path(file), whole);
    expect(open().read().definitions).toEqual([definitionOf(1)]);
  });

  it('the index', () => {
    const index = join(state, 'clusters/index.json');
    const whole = fs.readFileSync(index, 'utf8');
    for (const text of [
      ...['', '{', 'null', '{}', whole.slice(0, -4)],
      whole.replace('"folder": 1', '"folder": "../../x"'),
      whole.replace(`"id": "${uuid(1)}"`, '"id": "../x"'),
      whole.replace(`"current": "${uuid(1)}"`, `"current": "${uuid(2)}"`),
    ]) {
      expect(text).not.toBe(whole);
      fs.writeFileSync(index, text);
      refuses(index);
    }
    fs.rmSync(index);
    refuses(index);
    expect(() => open()).toThrow('it is not there, and definitions are');
    fs.writeFileSync(index, whole);
    expect(open().read().definitions).toEqual([definitionOf(1)]);
  });

  it('is cleared where somebody says so', () => {
    fs.writeFileSync(join(state, 'clusters/index.json'), 'x');
    expect(() => open()).toThrow('index.json is damaged');
    new LocalFolder(new QuietHost(), state).clear();
    expect(open().read()).toEqual(NOTHING);
    expect(namesIn(join(state, 'clusters'))).toEqual(['index.json']);
  });
});

test('what is left behind is removed, and no link is followed', () => {
  const outside = join(dir, 'outside');
  fs.mkdirSync(outside);
  fs.writeFileSync(join(outside, 'kept'), '');
  open().define(definitionOf(1));
  const clusters = join(state, 'clusters');
  fs.mkdirSync(join(clusters, uuid(2), '1'), { recursive: true });
  fs.writeFileSync(join(clusters, uuid(2), '1', 'key'), 'secret');
  fs.symlinkSync(outside, join(clusters, 'constructor'));
  fs.symlinkSync(outside, join(clusters, uuid(1), '7'));
  expect(open().read().definitions).toEqual([definitionOf(1)]);
  expect(fs.readdirSync(clusters)).toEqual([uuid(1), 'index.json']);
  expect(fs.readdirSync(join(clusters, uuid(1)))).toEqual(['1']);
  expect(fs.readdirSync(outside)).toEqual(['kept']);
});

test('one agent at a time', () => {
  const release = lockState(new NodeHost(), state);
  expect(() => lockState(new NodeHost(), state)).toThrow(
    /bootwright\/lock is locked: another agent is at work/,
  );
  release();
  lockState(new NodeHost(), state)();
});

test('another agent is told who is at work, also where that is a folder of variables or nobody can write there', () => {
  const variables = join(dir, 'efivars');
  fs.mkdirSync(variables, 0o500);
  const release = lockStore(new NodeHost(), variables);
  const who = `process ${process.pid}: ${process.argv0}`;
  expect(() => lockStore(new NodeHost(), variables)).toThrow(who);
  release();
  const free = lockState(new NodeHost(), state);
  expect(() => lockState(new NodeHost(), state)).toThrow(who);
  // By whatever name its folder is called.
  fs.symlinkSync(state, join(dir, 'elsewhere'));
  expect(() => lockStore(new NodeHost(), join(dir, 'elsewhere/lock'))).toThrow(who);
  free();
  lockStore(new NodeHost(), variables)();
});

describe('on a virtual disk', () => {
  const on = (disk: string) => openLocalFolder(new QuietHost(), state, disk);

  test("what is there is that disk's, whoever writes more; on a copy of it that is known, and forgotten with every key", () => {
    expect(on('n1-root').copiedFrom()).toBeUndefined();
    on('n1-root').define(definitionOf(1));
    open().define(definitionOf(2));
    expect(on('n1-root').copiedFrom()).toBeUndefined();
    expect(open().copiedFrom()).toBeUndefined();
    const copy = on('n2-root');
    expect(copy.copiedFrom()).toBe('n1-root');
    copy.clear();
    expect(copy.copiedFrom()).toBeUndefined();
    expect(copy.read()).toEqual(NOTHING);
    expect(namesIn(state)).toEqual(['clusters/index.json', 'log/local.log']);
    copy.define(definitionOf(1, 1));
    expect(on('n1-root').copiedFrom()).toBe('n2-root');
  });

  test("what a system kept there that was supervised is the node's", () => {
    open().define(definitionOf(1));
    expect(on('n1-root').copiedFrom()).toBeUndefined();
    expect(on('n1-root').read().definitions).toEqual([definitionOf(1)]);
  });

  test('a disk whose name is no name is damage', () => {
    on('n1-root').define(definitionOf(1));
    const index = join(state, 'clusters/index.json');
    fs.writeFileSync(index, fs.readFileSync(index, 'utf8').replace('"n1-root"', '7'));
    expect(() => on('n1-root')).toThrow('it is no index of clusters');
  });
});

const define =
  (cluster: number, version = 0) =>
  (store: LocalStore) =>
    store.define(definitionOf(cluster, version));
const CASES: [what: string, before: ((store: LocalStore) => void)[], act: (store: LocalStore) => void][] = [
  ['the first definition', [], define(1)],
  ['a second cluster', [define(1)], define(2)],
  ['a cluster defined again', [define(1)], define(1, 1)],
  ['a cluster forgotten', [define(1), define(2)], (store) => store.erase(uuid(1))],
  ['moved', [define(1), define(2)], (store) => store.point({ current: uuid(2), target: null })],
];
/** Of what was not synced all, nothing, and so many mixtures. */
const MIXTURES = 3;

it.each(CASES)(
  '%s: the power cut after every call leaves the former content or the new one',
  (_what, before, act) => {
    // Where nothing is yet, there is not even a state directory.
    for (const each of before) each(open());
    const disk = new CrashDisk(fs, dir);
    const old = open().read();
    const deeds = deedsOf(() => act(open()));
    const now = open().read();
    expect(now).not.toEqual(old);
    expect(deeds.length).toBeGreaterThan(8);
    const found = { old: 0, now: 0 };
    let seed = 1;
    const left = fs.mkdtempSync(join(MEMORY, 'local-left-'));
    for (let cut = 0; cut <= deeds.length; cut++) {
      if (cut > 0) disk.take(deeds[cut - 1]!);
      for (let mixture = 0; mixture < 2 + MIXTURES; mixture++) {
        const kept = () => {
          seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
          return mixture === 0 ? false : mixture === 1 ? true : ((seed >> 16) & 1) === 1;
        };
        const at = join(left, `${cut}-${mixture}`);
        fs.mkdirSync(at);
        disk.leave(fs, at, kept);
        const store = () => open(join(at, 'bootwright'));
        const content = JSON.stringify(store().read());
        if (content === JSON.stringify(old)) found.old++;
        else if (content === JSON.stringify(now)) found.now++;
        else expect.fail(`cut after ${cut} calls (${JSON.stringify(deeds[cut - 1])}) leaves ${content}`);
        // Nothing lies about that the index does not name, and the next try does it.
        const folders = store()
          .read()
          .definitions.map(({ cluster }) => cluster.id);
        const clusters = join(at, 'bootwright/clusters');
        if (fs.existsSync(clusters))
          expect(fs.readdirSync(clusters).filter((name) => name !== 'index.json')).toEqual(folders.sort());
        if (mixture === 2 && cut % 7 === 0) {
          act(store());
          expect(store().read()).toEqual(now);
        }
      }
    }
    fs.rmSync(left, { recursive: true });
    expect(found.old).toBeGreaterThan(10);
    expect(found.now).toBeGreaterThan(10);
  },
);
