/** Deleted definitions of a node that are kept for their keys: how many, and which are forgotten. */
import { beforeEach, expect, test } from 'vitest';
import type { Definitions } from '../../imager/definitions/store.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { admissionsOf } from '../agents/admissions.ts';

let registry: MemoryRegistry;
let definitions: Definitions;
beforeEach(async () => {
  registry = new MemoryRegistry();
  await restart();
});

async function restart(): Promise<void> {
  ({ definitions } = await admissionsOf(registry, ['node1']));
}

/** The `at`th definition of the node: each time it is other hardware, or has another root disk. */
async function define(at: number, disk?: string): Promise<string> {
  const node = { name: 'node1', uid: `serial:${at}`, address: '10.0.0.1', keeps: true };
  const { id } = await definitions.begin({ ...node, disk, at });
  await definitions.finish(id);
  return id;
}

const left = () => definitions.leftOf('node1').map(({ at }) => at);

test('four at most, the one whose place was taken among them; the oldest goes, also after a restart', async () => {
  for (let at = 1; at <= 12; at++) {
    await define(at);
    expect(left()).toEqual([at - 4, at - 3, at - 2, at - 1].filter((each) => each > 0));
    await restart();
  }
});

test.each(['remove', 'close'] as const)('four at most once the node is undefined: %s', async (how) => {
  for (let at = 1; at <= 4; at++) await define(at);
  const last = await define(5);
  await restart();
  await definitions[how](how === 'remove' ? last : 'node1');
  expect(left()).toEqual([2, 3, 4, 5]);
  await restart();
  expect(left()).toEqual([2, 3, 4, 5]);
});

test('each disk keeps its own, up to 64', async () => {
  for (let at = 1; at <= 70; at++) {
    await define(at, `disk-${at}`);
    await restart();
  }
  expect(left()).toEqual(Array.from({ length: 64 }, (_, at) => at + 6));
});
