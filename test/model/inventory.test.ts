/** Differences between what a node consisted of and what it consists of. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RESOURCE_KINDS, type Resource } from '../../agent/protocol/resources.ts';
import { countsOf, diffLines, diffOf, isEmpty } from '../../imager/model/inventory.ts';

const resource: fc.Arbitrary<Resource> = fc.record({
  kind: fc.constantFrom(...RESOURCE_KINDS.slice(0, 3)),
  key: fc.constantFrom('a', 'b', 'c', 'constructor'),
  fields: fc.dictionary(
    fc.constantFrom('name', 'bytes', 'carrier', 'toString'),
    fc.oneof(fc.constantFrom('x', 'y', ''), fc.nat(3), fc.boolean()),
    { maxKeys: 4, noNullPrototype: true },
  ),
});
const inventory = fc.uniqueArray(resource, { selector: ({ kind, key }) => `${kind} ${key}`, maxLength: 10 });

/** What `before` comes to with a difference applied, by name. */
function applied(
  before: readonly Resource[],
  diff: ReturnType<typeof diffOf>,
): Map<string, Resource['fields']> {
  const nameOf = ({ kind, key }: { kind: string; key: string }) => `${kind} ${key}`;
  const after = new Map(before.map((each) => [nameOf(each), { ...each.fields }]));
  for (const each of diff.removed) after.delete(nameOf(each));
  for (const each of diff.added) after.set(nameOf(each), each.fields);
  for (const { kind, key, field, from, to } of diff.changed) {
    const fields = after.get(nameOf({ kind, key }))!;
    expect(Object.hasOwn(fields, field) ? fields[field] : null).toBe(from);
    if (to === null) delete fields[field];
    else fields[field] = to;
  }
  return after;
}

it('a difference leads from the one to the other, and backwards', () => {
  fc.assert(
    fc.property(inventory, inventory, (before, after) => {
      const diff = diffOf(before, after);
      const named = after.map((each) => [`${each.kind} ${each.key}`, each.fields] as const);
      const led = applied(before, diff);
      expect([...led.keys()].sort()).toEqual(named.map(([name]) => name).sort());
      for (const [name, fields] of named) expect(led.get(name)).toEqual(fields);
      const back = diffOf(after, before);
      expect([back.added, back.removed, back.changed.length]).toEqual([
        before.filter((each) => diff.removed.includes(each)),
        after.filter((each) => diff.added.includes(each)),
        diff.changed.length,
      ]);
      expect(diffLines(diff)).toHaveLength(diff.added.length + diff.removed.length + diff.changed.length);
    }),
  );
});

it('of the same in another order there is none', () => {
  fc.assert(
    fc.property(inventory, (before) => {
      expect(isEmpty(diffOf(before, [...before].reverse()))).toBe(true);
    }),
  );
});

it('is said in lines that name what, and from what to what', () => {
  const card: Resource = { kind: 'adapter', key: '00:16:3e:00:00:01', fields: { name: 'eth1' } };
  const disk: Resource = { kind: 'disk', key: 'nbd0', fields: { bytes: 1 } };
  const memory = (bytes: number): Resource => ({ kind: 'memory', key: 'total', fields: { bytes } });
  const link = (fields: Resource['fields']): Resource => ({ kind: 'adapter', key: 'x', fields });
  const diff = diffOf([card, memory(512), link({ carrier: true })], [memory(768), disk, link({ mtu: 1500 })]);
  expect(diffLines(diff)).toEqual([
    'removed adapter 00:16:3e:00:00:01',
    'added disk nbd0',
    'memory total: bytes 512 -> 768',
    'adapter x: carrier true -> -',
    'adapter x: mtu - -> 1500',
  ]);
  expect(countsOf([card, disk, memory(1), card])).toBe('2 adapter, 1 disk, 1 memory');
});
