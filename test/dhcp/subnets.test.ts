/** Clients behind relay agents: which network they are in, what they get there, how they are recognised. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../imager/dhcp/decide.ts';
import { addressToBytes } from '../../imager/dhcp/ipv4.ts';
import {
  asking,
  bind,
  lease,
  MAC,
  machineIdentifier,
  N1,
  OTHER_MAC,
  outcome,
  perform,
  request,
  SERVER,
  text,
  UID,
  world,
} from './fakes.ts';

const RELAY = '10.78.0.1';
const RACK = { network: '10.78.0.0', prefix: 24, router: RELAY, leaseSeconds: 600 };
const FAR = { network: '10.79.0.0', prefix: 25, leaseSeconds: 900, circuits: ['706f727437'] };

/** Three networks: the server's own, a rack, and a far one that a circuit leads to as well. */
function here(options: Parameters<typeof world>[0] = {}) {
  return world({
    ...options,
    config: {
      subnets: [
        {
          ...RACK,
          dns: ['10.78.0.2'],
          domain: 'rack.example',
          nextServer: '10.78.0.9',
          pools: [
            { from: '10.78.0.20', to: '10.78.0.20' },
            { from: '10.78.0.10', to: '10.78.0.11' },
          ],
        },
        { ...FAR, pools: [{ from: '10.79.0.10', to: '10.79.0.10' }] },
      ],
      bootFile: () => ({ file: 'boot.img' }),
      ...options.config,
    },
  });
}

function relayInformation(...subOptions: [code: number, value: Uint8Array | string][]): Uint8Array {
  return Uint8Array.from(
    subOptions.flatMap(([code, value]) => {
      const bytes = typeof value === 'string' ? text(value) : value;
      return [code, bytes.length, ...bytes];
    }),
  );
}

const link = (address: string) => relayInformation([5, addressToBytes(address)]);

describe('the network is chosen', () => {
  test.each<[string, Parameters<typeof request>[1], Record<number, Uint8Array>, RegExp]>([
    ['without a relay agent: the own one', {}, {}, /^offer 10\.77\.0\.10\d$/],
    ['by the address of the relay agent', { giaddr: RELAY }, {}, /^offer 10\.78\.0\.(10|11|20)$/],
    ['by link selection before that', { giaddr: RELAY }, { 82: link('10.79.0.0') }, /^offer 10\.79\.0\.10$/],
    [
      'by link selection alone where the relay agent is reached elsewhere',
      { giaddr: '192.168.1.1' },
      { 82: link('10.78.0.77') },
      /^offer 10\.78\.0\./,
    ],
    [
      'by a circuit the configuration knows',
      { giaddr: RELAY },
      { 82: relayInformation([1, 'port7']) },
      /^offer 10\.79\.0\.10$/,
    ],
    [
      'not by another circuit',
      { giaddr: RELAY },
      { 82: relayInformation([1, 'port8']) },
      /^offer 10\.78\.0\./,
    ],
    [
      'by link selection before the circuit',
      { giaddr: RELAY },
      { 82: relayInformation([1, 'port7'], [5, addressToBytes('10.77.0.0')]) },
      /^offer 10\.77\.0\./,
    ],
    [
      'by the subnet the client selects',
      { giaddr: RELAY },
      { 118: addressToBytes('10.79.0.0') },
      /^offer 10\.79\./,
    ],
    ['not by what a DISCOVER has in ciaddr', { ciaddr: '10.78.0.10' }, {}, /^offer 10\.77\./],
    ['no link selection without a relay agent', {}, { 82: link('10.79.0.0') }, /^offer 10\.77\.0\./],
    ['a relay agent of an unknown network', { giaddr: '10.80.0.1' }, {}, /^silence: other-network$/],
    [
      'a link of an unknown network',
      { giaddr: RELAY },
      { 82: link('10.80.0.0') },
      /^silence: other-network$/,
    ],
    ['a wish for an unknown network', {}, { 118: addressToBytes('10.80.0.0') }, /^silence: other-network$/],
    [
      'malformed relay information counts as none',
      { giaddr: RELAY },
      { 82: Uint8Array.of(5, 9, 1) },
      /^offer 10\.78\./,
    ],
  ])('%s', (_what, fields, options, expected) => {
    expect(outcome(decide(request('discover', fields, options), here()))).toMatch(expected);
  });
});

test('a whole offer through a relay agent: what is told is the rack’s, options 118 and 82 come back, 82 last', () => {
  const agent = relayInformation([1, 'port9'], [2, 'switch-1']);
  const decision = decide(
    request(
      'discover',
      { giaddr: RELAY, hops: 1, broadcast: true },
      { 55: Uint8Array.of(1, 3, 6, 15, 66, 150), 118: addressToBytes('10.78.0.0'), 82: agent },
    ),
    here(),
  );
  if (decision.kind !== 'reply') throw new Error(outcome(decision));
  expect(decision.to).toEqual({ address: RELAY, port: 'server' });
  expect(decision.message).toMatchObject({
    op: 'reply',
    hops: 0,
    broadcast: true,
    giaddr: RELAY,
    siaddr: '10.78.0.9',
    file: 'boot.img',
  });
  expect([...decision.message.options]).toEqual([
    [53, Uint8Array.of(2)],
    [54, Uint8Array.of(10, 77, 0, 1)],
    [51, Uint8Array.of(0, 0, 0x02, 0x58)], // 600 s
    [1, Uint8Array.of(255, 255, 255, 0)],
    [3, Uint8Array.of(10, 78, 0, 1)],
    [66, text('10.78.0.9')],
    [150, Uint8Array.of(10, 78, 0, 9)],
    [6, Uint8Array.of(10, 78, 0, 2)],
    [15, text('rack.example')],
    [118, Uint8Array.of(10, 78, 0, 0)],
    [82, agent],
  ]);
  expect(decision.subject.detail).toEqual({
    asked: '1,3,6,15,66,150',
    subnet: '10.78.0.0/24',
    relay: RELAY,
    circuit: '706f727439',
  });
  expect(decision.detail).toEqual({ file: 'boot.img', server: '10.78.0.9', router: RELAY });
});

test('pools are used up range by range, each address once', () => {
  const rack = here();
  const got = Array.from({ length: 4 }, (_, i) => {
    const from = { mac: `52:54:00:00:01:0${i}`, giaddr: RELAY };
    const offer = perform(decide(request('discover', from), rack), rack);
    if (offer.kind !== 'reply') return outcome(offer);
    return outcome(
      perform(decide(request('request', from, asking(offer.message.yiaddr, SERVER)), rack), rack),
    );
  });
  expect(got.slice(0, 3).sort()).toEqual(['ack 10.78.0.10', 'ack 10.78.0.11', 'ack 10.78.0.20']);
  expect(got[3]).toBe('silence: pool-exhausted');
});

describe('a client that comes to another network', () => {
  test('is refused what it had, is given an address there, and its old one is free', () => {
    const both = here();
    const old = bind(MAC, both);
    expect(old).toMatch(/^10\.77\./);
    const moved = { giaddr: RELAY };
    expect(outcome(decide(request('request', moved, asking(old)), both))).toBe('nak: wrong-network');
    const offer = perform(decide(request('discover', moved, asking(old)), both), both);
    expect(outcome(offer)).toMatch(/^offer 10\.78\.0\./);
    const address = offer.kind === 'reply' ? offer.message.yiaddr : '';
    expect(outcome(perform(decide(request('request', moved, asking(address, SERVER)), both), both))).toBe(
      `ack ${address}`,
    );
    expect(both.leases.view(both.now).map((each) => each.address)).toEqual([address]);
  });

  test('is granted there what it asks for after the server has forgotten its offer', () => {
    const both = here();
    bind(MAC, both);
    const selecting = request('request', { giaddr: RELAY }, asking('10.78.0.11', SERVER));
    expect(outcome(decide(selecting, both))).toBe('ack 10.78.0.11');
  });

  test('is refused through the relay agent even where nobody knows it, with the broadcast flag', () => {
    const decision = decide(request('request', { giaddr: RELAY }, asking('172.16.0.9')), here());
    expect(outcome(decision)).toBe('nak: wrong-network');
    expect(decision).toMatchObject({
      to: { address: RELAY, port: 'server' },
      message: { broadcast: true, giaddr: RELAY, yiaddr: '0.0.0.0' },
    });
  });

  test('a NAK carries option 82 back, last', () => {
    const agent = relayInformation([1, 'port9']);
    const decision = decide(
      request('request', { giaddr: RELAY }, { ...asking('172.16.0.9'), 82: agent }),
      here(),
    );
    if (decision.kind !== 'reply') throw new Error(outcome(decision));
    expect([...decision.message.options.keys()]).toEqual([53, 54, 56, 82]);
    expect(decision.message.options.get(82)).toEqual(agent);
  });
});

test('renewing by unicast: the network is that of its address, the answer goes there', () => {
  const rack = here();
  perform(decide(request('request', { giaddr: RELAY }, asking('10.78.0.11', SERVER)), rack), rack);
  const decision = decide(request('request', { ciaddr: '10.78.0.11' }), rack);
  expect(outcome(decision)).toBe('ack 10.78.0.11');
  expect(decision).toMatchObject({
    to: { address: '10.78.0.11', port: 'client' },
    subject: { detail: { subnet: '10.78.0.0/24' } },
  });
});

describe('nodes', () => {
  const elsewhere = { ...N1, address: '10.78.0.50' };

  test('get their address in its network, and nowhere else', () => {
    const at = here({ reservations: [elsewhere] });
    expect(outcome(decide(request('discover', { giaddr: RELAY }), at))).toBe('offer 10.78.0.50');
    expect(outcome(decide(request('discover'), at))).toBe('silence: reserved-elsewhere');
    expect(outcome(decide(request('request', {}, asking('10.78.0.50')), at))).toBe('nak: wrong-network');
  });

  const marks = {
    uid: { ...N1, node: 'by-uid', address: '10.78.0.51', mac: 'none', uid: UID },
    mac: { ...N1, node: 'by-mac', address: '10.78.0.52' },
    clientId: { ...N1, node: 'by-id', address: '10.78.0.53', mac: 'none', clientId: '6e6f6465' },
    circuit: { ...N1, node: 'by-circuit', address: '10.78.0.54', mac: 'none', circuit: '0001' },
  };
  const said = {
    97: machineIdentifier(UID),
    61: text('node'),
    82: relayInformation([1, Uint8Array.of(0, 1)]),
  };
  test.each([
    ['the UID before all', [marks.circuit, marks.clientId, marks.mac, marks.uid], 'by-uid'],
    ['the MAC before the client identifier', [marks.circuit, marks.clientId, marks.mac], 'by-mac'],
    ['the client identifier before the circuit', [marks.circuit, marks.clientId], 'by-id'],
    ['the circuit', [marks.circuit], 'by-circuit'],
    ['none', [], undefined],
  ])('are recognised by %s', (_what, reservations, node) => {
    const decision = decide(request('discover', { giaddr: RELAY }, said), here({ reservations }));
    expect(decision.subject.node).toBe(node);
  });

  test('a text identifier is the same with the type byte 0 in front', () => {
    const typed = { 61: Uint8Array.of(0, ...text('node')) };
    const decision = decide(
      request('discover', { giaddr: RELAY }, typed),
      here({ reservations: [marks.clientId] }),
    );
    expect(outcome(decision)).toBe('offer 10.78.0.53');
  });

  test('known by their circuit they are known when they renew past the relay agent', () => {
    const at = here({ reservations: [marks.circuit] });
    const through = { ...asking('10.78.0.54', SERVER), 82: said[82] };
    perform(decide(request('request', { giaddr: RELAY }, through), at), at);
    expect(outcome(decide(request('request', { ciaddr: '10.78.0.54' }), at))).toBe('ack 10.78.0.54');
  });
});

describe('server identifier override (RFC 5107)', () => {
  const agent = { 82: relayInformation([11, addressToBytes(RELAY)]) };

  test('replies name the relay agent, and requests may', () => {
    const rack = here();
    const offer = perform(decide(request('discover', { giaddr: RELAY }, agent), rack), rack);
    if (offer.kind !== 'reply') throw new Error(outcome(offer));
    expect(offer.message.options.get(54)).toEqual(addressToBytes(RELAY));
    const selecting = { ...asking(offer.message.yiaddr, RELAY), ...agent };
    expect(outcome(decide(request('request', { giaddr: RELAY }, selecting), rack))).toMatch(/^ack /);
    expect(
      outcome(decide(request('request', { giaddr: RELAY }, asking(offer.message.yiaddr, RELAY)), rack)),
    ).toBe('silence: other-server');
  });

  test('is not heeded without a relay agent', () => {
    const decision = decide(request('discover', {}, agent), here());
    expect(decision.kind === 'reply' && decision.message.options.get(54)).toEqual(addressToBytes(SERVER));
  });
});

test('declined and released addresses are put aside or free in their own network', () => {
  const rack = here();
  const through = { giaddr: RELAY };
  perform(decide(request('request', through, asking('10.78.0.11', SERVER)), rack), rack);
  expect(
    outcome(perform(decide(request('decline', through, asking('10.78.0.11', SERVER)), rack), rack)),
  ).toBe('quiet: put');
  for (const mac of [MAC, OTHER_MAC, '52:54:00:00:00:03'])
    expect(outcome(perform(decide(request('discover', { mac, ...through }), rack), rack))).not.toBe(
      'offer 10.78.0.11',
    );
  void rack.leases.apply([{ type: 'put', lease: lease({ address: '10.78.0.10' }) }]);
  const release = request('release', { ciaddr: '10.78.0.10' }, asking(undefined, SERVER));
  expect(outcome(perform(decide(release, rack), rack))).toBe('quiet: put');
  expect(rack.leases.byAddress('10.78.0.10')).toMatchObject({ state: 'released' });
});

test('INFORM is answered in the words of its network', () => {
  const decision = decide(request('inform', { ciaddr: '10.78.0.60' }), here());
  expect(decision).toMatchObject({ step: 'ack', to: { address: '10.78.0.60' }, detail: { router: RELAY } });
});
