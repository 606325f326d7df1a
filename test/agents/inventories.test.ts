/** What the imager keeps of what nodes consist of. */
import { expect, it } from 'vitest';
import type { Resource, ResourcesMessage } from '../../agent/protocol/resources.ts';
import { Inventories } from '../../imager/agents/inventories.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';

const memory = (bytes: number): Resource => ({ kind: 'memory', key: 'total', fields: { bytes } });
const CARD: Resource = { kind: 'adapter', key: '00:16:3e:00:00:01', fields: { name: 'eth1' } };
const message = (resources: Resource[], faults: ResourcesMessage['faults'] = []): ResourcesMessage => ({
  type: 'resources',
  resources,
  faults,
});

it('keeps what a node is and what it was before the last change, over joins without one', async () => {
  const registry = new MemoryRegistry();
  const inventories = new Inventories(registry);
  expect(inventories.of('n1')).toEqual({ node: 'n1', last: null, previous: null, diff: null });

  expect(await inventories.note('n1', 'boot1', message([memory(1), CARD]), 10)).toEqual({
    first: true,
    found: 2,
    summary: '1 adapter, 1 memory',
  });
  expect(await inventories.note('n1', 'boot2', message([CARD, memory(1)]), 20)).toBeUndefined();
  expect(inventories.of('n1')).toMatchObject({
    last: { since: 10, seen: 20, bootId: 'boot1' },
    previous: null,
    diff: null,
  });

  expect(await inventories.note('n1', 'boot3', message([memory(2)]), 30)).toEqual({
    added: 0,
    removed: 1,
    changed: 1,
    summary: 'removed adapter 00:16:3e:00:00:01; memory total: bytes 1 -> 2',
  });
  const fault = { where: '/sys/x', why: 'EIO' };
  expect(await inventories.note('n1', 'boot4', message([memory(2)], [fault]), 40)).toBeUndefined();

  // As a restarted imager has it.
  expect(new Inventories(registry).of('n1')).toEqual({
    node: 'n1',
    last: { since: 30, seen: 40, bootId: 'boot3', resources: [memory(2)], faults: [fault] },
    previous: { since: 10, seen: 20, bootId: 'boot1', resources: [memory(1), CARD], faults: [] },
    diff: {
      added: [],
      removed: [CARD],
      changed: [{ kind: 'memory', key: 'total', field: 'bytes', from: 1, to: 2 }],
    },
  });
  expect(inventories.of('n2').last).toBeNull();
});

it('an event has no more of a difference than it bears', async () => {
  const inventories = new Inventories(new MemoryRegistry());
  const many = Array.from({ length: 500 }, (_, at): Resource => ({ kind: 'pci', key: `${at}`, fields: {} }));
  await inventories.note('n1', 'boot1', message([]), 1);
  const told = await inventories.note('n1', 'boot2', message(many), 2);
  expect(told).toMatchObject({ added: 500, removed: 0, changed: 0 });
  expect(String(told?.summary)).toHaveLength(512);
});
