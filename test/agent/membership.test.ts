/** What an imager changes of a node's definition: in its store, and told on its console. */
import { beforeEach, expect, test, vi } from 'vitest';
import { Membership } from '../../agent/linux/membership.ts';
import { LocalStoreError, NO_CONTENT } from '../../agent/protocol/local-content.ts';
import { MemoryLocalStore } from '../fakes/memory-local-store.ts';
import { definitionOf } from '../local/definitions.ts';

const definition = definitionOf(1);
const { id, cluster, uid } = definition;

let store: MemoryLocalStore;
let said: string[];
let member: Membership;
beforeEach(() => {
  store = new MemoryLocalStore();
  said = [];
  member = new Membership(uid, store, { tell: (line) => said.push(line) });
});

test('defined, corrected, ended: each is told once, and what was done already is not', () => {
  for (let time = 0; time < 2; time++) member.answer({ type: 'commit', request: 1, definition });
  expect(said).toEqual([
    `defined in cluster ${cluster.name} as ${definition.name}, number ${definition.number}`,
  ]);
  expect(member.current()).toEqual(definition);

  const other = new Membership('serial:new-board', store, { tell: (line) => said.push(line) });
  const correct = { type: 'correct', request: 2, definition: id, to: 'serial:new-board' } as const;
  for (let time = 0; time < 2; time++) other.answer(correct);
  expect(said.slice(1)).toEqual([
    `its definition in cluster ${cluster.name} says serial:new-board now, in the place of ${uid}`,
  ]);

  for (let time = 0; time < 2; time++) other.answer({ type: 'erase', request: 3, definition: id });
  expect(said.slice(2)).toEqual([
    `its definition in cluster ${cluster.name}, as ${definition.name}, was ended by the imager`,
  ]);
  expect(other.current()).toBeUndefined();
});

test('the store is read once, and again after each change, one that failed too', () => {
  member.answer({ type: 'commit', request: 1, definition });
  const read = vi.spyOn(store, 'read');
  for (let time = 0; time < 3; time++) expect(member.told().local?.id).toBe(id);
  expect(read).not.toHaveBeenCalled();
  store.erase = () => {
    store.content = NO_CONTENT;
    throw new Error('EIO');
  };
  expect(() => member.answer({ type: 'erase', request: 2, definition: id })).toThrow('EIO');
  expect(member.told().local).toBeNull();
});

test('of a store that is damaged it says what ends that', () => {
  store.read = () => {
    throw new LocalStoreError('/state/clusters/index.json is damaged: it is no index of clusters');
  };
  const there = new Membership(uid, store, { place: '--state /state' });
  expect(() => there.current()).toThrow(
    '/state/clusters/index.json is damaged: it is no index of clusters; ' +
      '`agent local erase --all --state /state` forgets everything that is there',
  );
});
