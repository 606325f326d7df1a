/** What scripts of nodes left, in the registry. */
import { beforeEach, expect, test } from 'vitest';
import type { ScriptOutput } from '../../agent/protocol/output.ts';
import { Outputs } from '../../imager/agents/outputs.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';

let registry: MemoryRegistry;
let outputs: Outputs;
beforeEach(() => {
  registry = new MemoryRegistry();
  outputs = new Outputs(registry);
});

const left = (script: string, more: Partial<ScriptOutput> = {}): ScriptOutput => ({
  ...{
    script,
    deployment: 'd1',
    bootId: 'b1',
    stage: 1,
    code: 0,
    timedOut: false,
    began: 2,
    took: 1,
    output: 'x',
  },
  ...more,
});
const names = (node = 'n') => outputs.of(node).map(({ script }) => script);

test('the last of each script, in the order in which they came, also after a restart', async () => {
  await outputs.keep('n', left('b'), 1);
  await outputs.keep('n', left('a'), 2);
  await outputs.keep('other', left('c'), 3);
  await outputs.keep('n', left('b', { bootId: 'b2', code: 3 }), 4);
  outputs = new Outputs(registry);
  expect(outputs.of('n')).toEqual([
    { ...left('a'), at: 2 },
    { ...left('b', { bootId: 'b2', code: 3 }), at: 4 },
  ]);
  expect(names('other')).toEqual(['c']);
  expect(names('nobody')).toEqual([]);
});

test('one that was sent again is neither written nor moved', async () => {
  await outputs.keep('n', left('a'), 1);
  await outputs.keep('n', left('b'), 2);
  const revision = registry.revision();
  await outputs.keep('n', left('a'), 3);
  expect(registry.revision()).toBe(revision);
  expect(names()).toEqual(['a', 'b']);
});

test('another deployment takes the place of the one before', async () => {
  await outputs.keep('n', left('a'), 1);
  await outputs.keep('n', left('b'), 2);
  await outputs.keep('n', left('b', { deployment: 'd2' }), 3);
  expect(names()).toEqual(['b']);
});

test('a node makes the imager keep so much and no more: the oldest go', async () => {
  for (let n = 0; n < 300; n++) await outputs.keep('n', left(`s${n}`, { output: '' }), n);
  expect(names()).toEqual(Array.from({ length: 256 }, (_, i) => `s${44 + i}`));
  for (let n = 0; n < 20; n++) await outputs.keep('m', left(`s${n}`, { output: 'x'.repeat(64 * 1024) }), n);
  expect(names('m')).toEqual(Array.from({ length: 16 }, (_, i) => `s${4 + i}`));
});
