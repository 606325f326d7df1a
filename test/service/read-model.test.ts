import { expect, test } from 'vitest';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { readModelOf, type Sources } from '../../imager/service/read-model.ts';

test('a thousand nodes are listed with one look at who is connected', () => {
  const nodes = Array.from({ length: 1000 }, (_, at) => ({ name: `n${at}`, hostname: `n${at}` }));
  let looks = 0;
  const model = readModelOf({
    nodes: new NodeIndex(nodes),
    directory: { get: () => undefined },
    connected: () => {
      looks++;
      return [{ node: 'n7' }];
    },
  } as unknown as Sources);
  const connected = model.nodes().filter((node) => node.connected);
  expect([connected.map(({ name }) => name), looks]).toEqual([['n7'], 1]);
});

test('health says what time it is for the imager, whatever the machine says', () => {
  const none = { problems: () => [] };
  const model = readModelOf({
    ...{ config: { cluster: 'c' }, nodes: new NodeIndex([]), table: none, disks: none, menus: none },
    ...{ clock: { now: () => 5000 }, started: new Date(1000), connected: () => [], ports: () => ({}) },
    problems: none.problems,
  } as unknown as Sources);
  expect(model.health()).toMatchObject({
    started: '1970-01-01T00:00:01.000Z',
    now: '1970-01-01T00:00:05.000Z',
  });
});
