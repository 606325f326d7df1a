import { beforeEach, describe, expect, test } from 'vitest';
import { Directory } from '../../imager/agents/directory.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { hello, POINTER } from './hello.ts';

const step = (seq: number, detail = {}) => ({ type: 'step', seq, step: 's', uptime: seq, detail }) as const;

test('keeps the last boots and steps, each within bounds', async () => {
  const registry = new MemoryRegistry();
  const directory = new Directory(registry, () => true);
  for (let boot = 1; boot <= 6; boot++)
    await directory.join('n', hello({ bootId: `b${boot}` }), '10.0.0.1', boot);
  const long = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`k${at}`, 'x'.repeat(4096)]));
  for (let seq = 1; seq <= 80; seq++) await directory.step('n', 'b6', step(seq, seq === 80 ? long : {}), seq);
  const boots = new Directory(registry, () => true).get('n')?.boots ?? [];
  expect(boots.map(({ bootId }) => bootId)).toEqual(['b3', 'b4', 'b5', 'b6']);
  const last = boots.at(-1)!;
  expect([last.lastSeq, last.steps.length, last.steps[0]?.seq]).toEqual([80, 64, 17]);
  const { detail } = last.steps.at(-1)!;
  expect(Object.keys(detail)).toHaveLength(16);
  expect(String(detail.k0)).toHaveLength(512);
});

test('a reconnection in the same boot keeps its steps; each boot counts its own', async () => {
  const directory = new Directory(new MemoryRegistry(), () => true);
  await directory.join('n', hello(), '10.0.0.1', 1);
  await directory.step('n', 'boot-1', step(1), 2);
  await directory.join('n', hello(), '10.0.0.1', 3);
  expect(directory.lastSeq('n', 'boot-1')).toBe(1);
  expect(directory.lastSeq('n', 'boot-2')).toBe(0);
  expect(directory.lastSeq('other', 'boot-1')).toBe(0);
});

describe('a disk belongs to the first node whose pointer names it', () => {
  const naming = (...disks: string[]) => hello({ pointer: { ...POINTER, disks } });
  let registry: MemoryRegistry;
  let configured: Set<string>;
  let directory: Directory;
  const open = () => new Directory(registry, (node) => configured.has(node));
  beforeEach(() => {
    registry = new MemoryRegistry();
    configured = new Set(['a', 'b', 'c']);
    directory = open();
  });
  const owners = (...disks: string[]) => disks.map((disk) => directory.ownerOf(disk));

  test('another hello that names it gains nothing, also after a restart', async () => {
    await directory.join('b', naming('x', 'y'), '10.0.0.2', 1);
    await directory.join('a', naming('y', 'z'), '10.0.0.1', 2);
    await directory.join('a', naming('y', 'z'), '10.0.0.1', 3);
    expect(owners('x', 'y', 'z', 'free')).toEqual(['b', 'b', 'a', undefined]);
    expect(directory.foreignDisks('a')).toEqual([{ disk: 'y', owner: 'b' }]);
    expect(directory.foreignDisks('b')).toEqual([]);
    directory = open();
    expect(owners('x', 'y', 'z')).toEqual(['b', 'b', 'a']);
  });

  test('its own pointer gives it up: then whoever named it has it', async () => {
    await directory.join('b', naming('x'), '10.0.0.2', 1);
    await directory.join('a', naming('x'), '10.0.0.1', 2);
    await directory.join('b', naming('y'), '10.0.0.2', 3);
    expect(owners('x', 'y')).toEqual(['a', 'b']);
    await directory.join('b', naming('x'), '10.0.0.2', 4);
    expect(owners('x', 'y')).toEqual(['a', undefined]);
  });

  test('the list of owners is written when a pointer comes, not for each step', async () => {
    let written = 0;
    registry.watch(['disk-owner'], () => written++);
    await directory.join('a', naming('x'), '10.0.0.1', 1);
    for (let seq = 1; seq <= 5; seq++) await directory.step('a', 'boot-1', step(seq), seq);
    expect(written).toBe(1);
    await directory.pointed('a', { ...POINTER, disks: ['y'] });
    expect([written, ...owners('x', 'y')]).toEqual([2, undefined, 'a']);
  });

  test('a confirmed flash moves it', async () => {
    await directory.join('b', naming('x'), '10.0.0.2', 1);
    await directory.join('a', hello({ pointer: null }), '10.0.0.1', 2);
    await directory.pointed('a', { ...POINTER, disks: ['x'] });
    await directory.join('b', naming('x'), '10.0.0.2', 3);
    expect(owners('x')).toEqual(['a']);
    directory = open();
    expect(owners('x')).toEqual(['a']);
  });

  test('a node that is no longer configured has none', async () => {
    await directory.join('b', naming('x'), '10.0.0.2', 1);
    configured.delete('b');
    directory = open();
    expect(owners('x')).toEqual([undefined]);
    await directory.join('a', naming('x'), '10.0.0.1', 2);
    configured.add('b');
    directory = open();
    expect(owners('x')).toEqual(['a']);
  });

  test('a node that is to be flashed with one has it until it says how that ended, also after a restart', async () => {
    for (const node of ['a', 'b']) await directory.join(node, hello({ pointer: null }), '10.0.0.1', 1);
    const claimed = directory.claim('a', ['x']);
    // At once, not only when it is durable.
    expect(directory.foreignDisks('b', ['x', 'y'])).toEqual([{ disk: 'x', owner: 'a' }]);
    await claimed;
    await directory.join('b', naming('x'), '10.0.0.2', 2);
    await directory.step('a', 'boot-1', step(1), 2);
    directory = open();
    expect(owners('x')).toEqual(['a']);
    await directory.claim('a', ['y']);
    await directory.pointed('a', { ...POINTER, disks: ['y'] });
    expect(owners('x', 'y')).toEqual(['b', 'a']);
    await directory.claim('b', ['w']);
    await directory.spared('b', await directory.claim('b', ['z']));
    expect(owners('x', 'w', 'z')).toEqual(['b', 'b', undefined]);
    await directory.claim('a', ['z']);
    await directory.join('a', naming('y'), '10.0.0.1', 3);
    expect(owners('y', 'z')).toEqual(['a', undefined]);
    await expect(directory.claim('c', ['z'])).rejects.toThrow('no hello of c');
  });

  test('what cannot be stored moves nothing', async () => {
    await directory.join('a', hello({ pointer: null }), '10.0.0.1', 1);
    registry.transact = () => Promise.reject(new Error('disk full'));
    await expect(directory.pointed('a', { ...POINTER, disks: ['x'] })).rejects.toThrow('disk full');
    await expect(directory.claim('a', ['x'])).rejects.toThrow('disk full');
    expect(owners('x')).toEqual([undefined]);
  });
});

test('a write that fails leaves what is stored', async () => {
  const registry = new MemoryRegistry();
  const directory = new Directory(registry, () => true);
  registry.transact = () => Promise.reject(new Error('disk full'));
  await expect(directory.join('n', hello(), '10.0.0.1', 1)).rejects.toThrow('disk full');
  expect(directory.get('n')).toBeUndefined();
  await expect(directory.step('n', 'boot-1', step(1), 1)).rejects.toThrow('no hello of n');
});

test('a node says how far its pointer has come, nothing else about it', async () => {
  const directory = new Directory(new MemoryRegistry(), () => true);
  await directory.join('n', hello({ pointer: POINTER }), '10.0.0.1', 1);
  const ready = { ...POINTER, sequence: POINTER.sequence + 1, phase: 'ready' as const };
  await directory.noted('n', ready);
  expect(directory.get('n')?.pointer).toEqual(ready);
  await directory.noted('n', { ...ready, disks: ['of-another'] });
  await directory.noted('n', { ...ready, deployment: 'other' });
  await directory.noted('unheard', ready);
  expect(directory.get('n')?.pointer).toEqual(ready);
  expect(directory.ownerOf('of-another')).toBeUndefined();
});

test('a node has another root disk by a flash, whether that is known to have ended or not, and by nothing else', async () => {
  const directory = new Directory(new MemoryRegistry(), () => true);
  const naming = (...disks: string[]) => ({ ...POINTER, disks });
  const flashed = (...to: string[]) => to.filter((disk) => directory.flashed('n', 'a', disk));
  expect(flashed('a', 'b')).toEqual([]);
  await directory.join('n', hello({ pointer: naming('a', 'data') }), '10.0.0.1', 1);
  expect(flashed('b', 'data', 'other')).toEqual([]);
  await directory.claim('n', ['b', 'more']);
  expect(flashed('b', 'data', 'other')).toEqual(['b']);
  await directory.spared('n', []);
  expect(flashed('b')).toEqual([]);
  // A second disk that is changed leaves the first one what it was.
  await directory.claim('n', ['a', 'more']);
  expect(flashed('b', 'more')).toEqual([]);
  await directory.pointed('n', naming('b', 'a'));
  expect(flashed('b', 'data', 'more')).toEqual(['b']);
  await directory.join('n', hello({ pointer: naming('a') }), '10.0.0.1', 2);
  expect(flashed('b')).toEqual([]);
});
