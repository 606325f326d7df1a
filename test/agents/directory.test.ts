import { expect, test } from 'vitest';
import { Directory } from '../../imager/agents/directory.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { hello, POINTER } from './client.ts';

const step = (seq: number, detail = {}) => ({ type: 'step', seq, step: 's', uptime: seq, detail }) as const;

test('keeps the last boots and steps, each within bounds', async () => {
  const registry = new MemoryRegistry();
  const directory = new Directory(registry);
  for (let boot = 1; boot <= 6; boot++)
    await directory.join('n', hello({ bootId: `b${boot}` }), '10.0.0.1', boot);
  const long = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`k${at}`, 'x'.repeat(4096)]));
  for (let seq = 1; seq <= 80; seq++) await directory.step('n', 'b6', step(seq, seq === 80 ? long : {}), seq);
  const boots = new Directory(registry).get('n')?.boots ?? [];
  expect(boots.map(({ bootId }) => bootId)).toEqual(['b3', 'b4', 'b5', 'b6']);
  const last = boots.at(-1)!;
  expect([last.lastSeq, last.steps.length, last.steps[0]?.seq]).toEqual([80, 64, 17]);
  const { detail } = last.steps.at(-1)!;
  expect(Object.keys(detail)).toHaveLength(16);
  expect(String(detail.k0)).toHaveLength(512);
});

test('a reconnection in the same boot keeps its steps; each boot counts its own', async () => {
  const directory = new Directory(new MemoryRegistry());
  await directory.join('n', hello(), '10.0.0.1', 1);
  await directory.step('n', 'boot-1', step(1), 2);
  await directory.join('n', hello(), '10.0.0.1', 3);
  expect(directory.lastSeq('n', 'boot-1')).toBe(1);
  expect(directory.lastSeq('n', 'boot-2')).toBe(0);
  expect(directory.lastSeq('other', 'boot-1')).toBe(0);
});

test('disks belong to the nodes whose pointers name them', async () => {
  const directory = new Directory(new MemoryRegistry());
  await directory.join('a', hello(), '10.0.0.1', 1);
  await directory.join('b', hello({ pointer: null }), '10.0.0.2', 1);
  expect(directory.ownersOf('node1-root')).toEqual(['a']);
  await directory.pointed('a', { ...POINTER, disks: ['x', 'y'] });
  await directory.pointed('b', { ...POINTER, disks: ['y'] });
  expect([directory.ownersOf('node1-root'), directory.ownersOf('y')]).toEqual([[], ['a', 'b']]);
});

test('a write that fails leaves what is stored', async () => {
  const registry = new MemoryRegistry();
  const directory = new Directory(registry);
  registry.transact = () => Promise.reject(new Error('disk full'));
  await expect(directory.join('n', hello(), '10.0.0.1', 1)).rejects.toThrow('disk full');
  expect(directory.get('n')).toBeUndefined();
  await expect(directory.step('n', 'boot-1', step(1), 1)).rejects.toThrow('no hello of n');
});
