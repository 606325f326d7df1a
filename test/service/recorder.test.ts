import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
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
/** Of an address that is lent. */
const ACK = { component: 'dhcp', step: 'ack', detail: { seconds: 600 } } as const;

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
    recorder.sink(event(at, { ...ACK, mac: '52:54:00:00:00:02', address }));
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

describe('a node with several adapters', () => {
  const [FIRST, SECOND] = ['52:54:00:00:00:0a', '52:54:00:00:00:0b'];
  const of = (mac: string, address: string, rest: Partial<BootEvent> = {}) => ({
    ...ACK,
    ...{ node: 'wide', mac, address },
    ...rest,
  });
  /** Whose the addresses 10.0.0.LAST are after these events, a second apart. */
  const ownersAfter = (events: Partial<BootEvent>[], lasts: number[]) => {
    const recorder = recorderOf();
    for (const [index, rest] of events.entries()) recorder.sink(event(index * 1000, rest));
    for (const last of lasts) recorder.sink(event(events.length * 1000, { address: `10.0.0.${last}` }));
    return recorder
      .events()
      .slice(events.length)
      .map(({ node, mac }) => [node, mac]);
  };

  test('has an address for each, which is forgotten where that one is given another', () => {
    const given = [of(FIRST, '10.0.0.100'), of(SECOND, '10.0.0.101')];
    expect(ownersAfter(given, [100, 101])).toEqual([
      ['wide', FIRST],
      ['wide', SECOND],
    ]);
    expect(ownersAfter([...given, of(FIRST, '10.0.0.102')], [100, 101, 102])).toEqual([
      [undefined, undefined],
      ['wide', SECOND],
      ['wide', FIRST],
    ]);
  });

  test('keeps one whose lease ran out until it is given another, or somebody else has it', () => {
    const short = of(FIRST, '10.0.0.100', { detail: { seconds: 0.5 } });
    expect(ownersAfter([short, event(0)], [100])).toEqual([['wide', FIRST]]);
    expect(ownersAfter([short, of(SECOND, '10.0.0.101')], [100, 101])).toEqual([
      [undefined, undefined],
      ['wide', SECOND],
    ]);
    const taken = of('66:66:66:66:66:66', '10.0.0.100', { node: 'other' });
    expect(ownersAfter([short, taken], [100])).toEqual([['other', '66:66:66:66:66:66']]);
  });

  test.each(['release', 'decline'])('has it no more after %s, unless that was not its own', (step) => {
    const given = of(FIRST, '10.0.0.100');
    const gone = { component: 'dhcp', step, mac: FIRST, node: 'wide', address: '10.0.0.100' } as const;
    expect(ownersAfter([given, gone], [100])).toEqual([[undefined, undefined]]);
    expect(ownersAfter([given, { ...gone, reason: 'not-holder' }], [100])).toEqual([['wide', FIRST]]);
  });

  test('does not lose one to somebody who asks for options alone and says that it is his', () => {
    const informed = { ...ACK, detail: {}, mac: '66:66:66:66:66:66', address: '10.0.0.100' };
    expect(ownersAfter([of(FIRST, '10.0.0.100'), informed], [100])).toEqual([['wide', FIRST]]);
  });
});

test('DHCP events are named by node and MAC alone; an address given to a stranger is forgotten', () => {
  const recorder = recorderOf();
  const dhcp = (at: number, rest: Partial<BootEvent>) =>
    recorder.sink(event(at, { component: 'dhcp', ...rest }));
  dhcp(1, { step: 'nak', mac: '66:66:66:66:66:66', address: '10.0.0.11' });
  dhcp(2, { ...ACK, mac: '52:54:00:00:00:99', node: 'by-uid', address: '10.0.0.100' });
  recorder.sink(event(3, { address: '10.0.0.100' }));
  dhcp(4, { step: 'request', mac: '66:66:66:66:66:66', address: '10.0.0.100' });
  dhcp(5, { ...ACK, mac: '66:66:66:66:66:66', address: '10.0.0.100' });
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

test('an address that was lent before this process began is whose the lease says', async () => {
  const leases: Record<string, { node?: string; mac: string }> = {
    '10.0.0.100': { node: 'pooled', mac: '52:54:00:00:00:02' },
    '10.0.0.101': { mac: '52:54:00:00:00:99' },
  };
  const lesseeOf = (address: string) => leases[address];
  const recorder = new Recorder({ names, log: pino({ level: 'silent' }), lesseeOf });
  recorder.sink(event(1, { address: '10.0.0.100' }));
  recorder.sink(event(2, { address: '10.0.0.101' }));
  recorder.sink(event(3, { address: '10.0.0.102' }));
  recorder.sink(event(4, { ...ACK, mac: '52:54:00:00:00:98', address: '10.0.0.101' }));
  recorder.sink(event(5, { address: '10.0.0.101' }));
  expect(recorder.events().map(({ node, mac }) => node ?? mac)).toEqual([
    'pooled',
    '52:54:00:00:00:99',
    undefined,
    '52:54:00:00:00:98',
    '52:54:00:00:00:98',
  ]);
  expect(recorder.whom('10.0.0.100')).toMatchObject({ node: 'pooled' });
});
