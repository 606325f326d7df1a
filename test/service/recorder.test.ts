import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { BootEvent } from '../../imager/journal/event.ts';
import { Recorder } from '../../imager/journal/recorder.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';

const names = new NodeIndex([
  { name: 'node1', hostname: 'node1', mac: '52:54:00:00:00:01', address: '10.0.0.11' },
  { name: 'pooled', hostname: 'pooled', mac: '52:54:00:00:00:02' },
]);
const recorderOf = (capacity?: number) =>
  new Recorder({ names, log: pino({ level: 'silent' }), ...(capacity === undefined ? {} : { capacity }) });
const event = (at: number, rest: Partial<BootEvent> = {}): BootEvent => ({
  at,
  component: 'tftp',
  step: 'transfer-start',
  ...rest,
});

test('events get the name of their node, by MAC and by address', () => {
  const recorder = recorderOf();
  recorder.sink(event(1, { mac: '52:54:00:00:00:01' }));
  recorder.sink(event(2, { address: '10.0.0.11' }));
  recorder.sink(event(3, { address: '10.0.0.99' }));
  recorder.sink(event(4, { node: 'said', address: '10.0.0.11' }));
  expect(recorder.events().map(({ id, node }) => [id, node])).toEqual([
    [1, 'node1'],
    [2, 'node1'],
    [3, undefined],
    [4, 'said'],
  ]);
});

test('an address of the pool belongs to the node it was given to last', () => {
  const recorder = recorderOf();
  const ack = (at: number, address: string) =>
    recorder.sink(event(at, { component: 'dhcp', step: 'ack', mac: '52:54:00:00:00:02', address }));
  ack(1, '10.0.0.100');
  recorder.sink(event(2, { address: '10.0.0.100' }));
  ack(3, '10.0.0.101');
  recorder.sink(event(4, { address: '10.0.0.100' }));
  recorder.sink(event(5, { address: '10.0.0.101' }));
  expect(recorder.events().map(({ node }) => node)).toEqual([
    'pooled',
    'pooled',
    'pooled',
    undefined,
    'pooled',
  ]);
});

test('DHCP events are named by node and MAC alone; an address given to a stranger is forgotten', () => {
  const recorder = recorderOf();
  const dhcp = (at: number, rest: Partial<BootEvent>) =>
    recorder.sink(event(at, { component: 'dhcp', ...rest }));
  dhcp(1, { step: 'nak', mac: '66:66:66:66:66:66', address: '10.0.0.11' });
  dhcp(2, { step: 'ack', mac: '52:54:00:00:00:99', node: 'by-uid', address: '10.0.0.100' });
  recorder.sink(event(3, { address: '10.0.0.100' }));
  dhcp(4, { step: 'request', mac: '66:66:66:66:66:66', address: '10.0.0.100' });
  dhcp(5, { step: 'ack', mac: '66:66:66:66:66:66', address: '10.0.0.100' });
  recorder.sink(event(6, { address: '10.0.0.100' }));
  expect(recorder.events().map(({ at, node }) => [at, node])).toEqual([
    [1, undefined],
    [2, 'by-uid'],
    [3, 'by-uid'],
    [4, undefined],
    [5, undefined],
    [6, undefined],
  ]);
});

test('queries by node, time and id', () => {
  const recorder = recorderOf();
  for (let at = 1; at <= 6; at++) recorder.sink(event(at * 10, at % 2 === 0 ? { node: 'even' } : {}));
  expect(recorder.events({ node: 'even' }).map(({ at }) => at)).toEqual([20, 40, 60]);
  expect(recorder.events({ since: 40 }).map(({ at }) => at)).toEqual([40, 50, 60]);
  expect(recorder.events({ after: 4, node: 'even' }).map(({ at }) => at)).toEqual([60]);
  expect(recorder.events({ after: 99 })).toEqual([]);
});

test('the oldest go first', () => {
  const recorder = recorderOf(3);
  for (let at = 1; at <= 5; at++) recorder.sink(event(at));
  expect(recorder.events().map(({ id, at }) => [id, at])).toEqual([
    [3, 3],
    [4, 4],
    [5, 5],
  ]);
});
