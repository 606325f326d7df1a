/** Which REQUEST is granted, refused, or left to another server. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../imager/dhcp/decide.ts';
import {
  asking,
  bind,
  type Leased,
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

const NODE_MAC = '52:54:00:00:00:04';

describe('REQUEST', () => {
  const rows: [string, (here: Leased) => ReturnType<typeof request>, string][] = [
    [
      'selecting what was offered',
      (here) => {
        perform(decide(request('discover', {}, asking('10.77.0.101')), here), here);
        return request('request', {}, asking('10.77.0.101', SERVER));
      },
      'ack 10.77.0.101',
    ],
    [
      'selecting after a restart forgot the offer',
      () => request('request', {}, asking('10.77.0.101', SERVER)),
      'ack 10.77.0.101',
    ],
    [
      'selecting something else than was offered',
      (here) => {
        perform(decide(request('discover', {}, asking('10.77.0.101')), here), here);
        return request('request', {}, asking('10.77.0.102', SERVER));
      },
      'nak: wrong-address',
    ],
    [
      'selecting another server',
      () => request('request', {}, asking('10.77.0.101', '10.77.0.9')),
      'silence: other-server',
    ],
    [
      'selecting what another client was offered',
      (here) => {
        perform(decide(request('discover', { mac: OTHER_MAC }, asking('10.77.0.101')), here), here);
        return request('request', {}, asking('10.77.0.101', SERVER));
      },
      'nak: offered-to-other',
    ],
    [
      'selecting what another client has',
      (here) => request('request', {}, asking(bind(OTHER_MAC, here), SERVER)),
      'nak: leased-to-other',
    ],
    [
      'selecting outside the pool',
      () => request('request', {}, asking('10.77.0.50', SERVER)),
      'nak: not-in-pool',
    ],
    [
      'init-reboot with its lease',
      (here) => request('request', {}, asking(bind(MAC, here))),
      'ack 10.77.0.102',
    ],
    [
      'init-reboot with a wrong address',
      (here) => {
        bind(MAC, here);
        return request('request', {}, asking('10.77.0.101'));
      },
      'nak: wrong-address',
    ],
    [
      'init-reboot of an unknown client',
      () => request('request', {}, asking('10.77.0.101')),
      'silence: no-lease',
    ],
    [
      "init-reboot from another network, by a stranger: maybe another interface's",
      () => request('request', {}, asking('192.168.1.7')),
      'silence: no-lease',
    ],
    [
      'the same through a relay of this network',
      () => request('request', { giaddr: '10.77.0.254' }, asking('192.168.1.7')),
      'nak: wrong-network',
    ],
    [
      'the same by a client of ours',
      (here) => {
        bind(MAC, here);
        return request('request', {}, asking('192.168.1.7'));
      },
      'nak: wrong-network',
    ],
    [
      'the same by a node',
      () => request('request', { mac: NODE_MAC }, asking('192.168.1.7')),
      'nak: wrong-network',
    ],
    ['renewing its lease', (here) => request('request', { ciaddr: bind(MAC, here) }), 'ack 10.77.0.102'],
    [
      'renewing what nobody remembers but is free',
      () => request('request', { ciaddr: '10.77.0.101' }),
      'ack 10.77.0.101',
    ],
    [
      'renewing what another client has',
      (here) => request('request', { ciaddr: bind(OTHER_MAC, here) }),
      'nak: leased-to-other',
    ],
    [
      'init-reboot, as it looks, with what it was just offered',
      (here) => {
        perform(decide(request('discover', {}, asking('10.77.0.101')), here), here);
        return request('request', {}, asking('10.77.0.101'));
      },
      'ack 10.77.0.101',
    ],
    [
      "rebinding another server's address",
      () => request('request', { ciaddr: '10.77.0.50' }),
      'silence: no-lease',
    ],
    [
      'init-reboot with an address reserved for a node',
      () => request('request', {}, asking('10.77.0.11')),
      'nak: reserved-for-other',
    ],
    ['naming no address at all', () => request('request'), 'silence: no-address'],
    ['naming the network itself', () => request('request', { ciaddr: '10.77.0.0' }), 'silence: no-lease'],
    [
      'naming the broadcast address',
      () => request('request', { ciaddr: '10.77.0.255' }),
      'silence: no-lease',
    ],
    ['naming the server', () => request('request', { ciaddr: SERVER }), 'silence: no-lease'],
  ];
  test.each(rows)('%s', (_what, prepare, expected) => {
    const here = world({
      reservations: [
        { node: 'n3', address: '10.77.0.11', mac: 'none' },
        { node: 'n4', address: '10.77.0.14', mac: NODE_MAC },
      ],
    });
    expect(outcome(decide(prepare(here), here))).toBe(expected);
  });

  test('a node: its address whatever it held before, which is freed', () => {
    const here = world({ reservations: [N1] });
    void here.leases.apply([
      { type: 'put', lease: lease({ client: 'node:n1', address: '10.77.0.77', node: 'n1' }) },
    ]);
    expect(outcome(decide(request('request', { ciaddr: '10.77.0.77' }), here))).toBe('nak: wrong-address');
    const decision = decide(request('request', {}, asking('10.77.0.11')), here);
    expect(decision).toMatchObject({
      step: 'ack',
      changes: [
        {
          type: 'put',
          lease: {
            address: '10.77.0.11',
            client: 'node:n1',
            node: 'n1',
            state: 'bound',
            hostname: 'one',
            start: here.now,
            expires: here.now + 3_600_000,
          },
        },
        { type: 'delete', address: '10.77.0.77' },
      ],
    });
  });

  test('a node known by UID is known by its MAC while its lease lasts', () => {
    const here = world({ reservations: [{ node: 'n2', address: '10.77.0.12', uid: UID }] });
    const uid = { 97: machineIdentifier(UID) };
    perform(decide(request('request', {}, { ...asking('10.77.0.12', SERVER), ...uid }), here), here);
    expect(outcome(decide(request('discover'), here))).toBe('offer 10.77.0.12');
    here.now += 3_600_001;
    expect(outcome(decide(request('discover'), here))).toMatch(/^offer 10\.77\.0\.10\d$/);
  });

  test('where answers go: ciaddr when renewing, broadcast for NAK, the relay with the broadcast flag', () => {
    const here = world();
    const address = bind(MAC, here);
    const to = (message: ReturnType<typeof request>) => {
      const decision = decide(message, here);
      return decision.kind === 'reply'
        ? [decision.step, decision.to.address, decision.to.port, decision.message.broadcast]
        : [];
    };
    expect(to(request('request', { ciaddr: address }))).toEqual(['ack', address, 'client', false]);
    expect(to(request('request', { ciaddr: '10.77.0.50' }))).toEqual([
      'nak',
      '255.255.255.255',
      'client',
      false,
    ]);
    expect(to(request('request', { ciaddr: '10.77.0.50', giaddr: '10.77.0.254' }))).toEqual([
      'nak',
      '10.77.0.254',
      'server',
      true,
    ]);
  });

  test('an ACK of another address than ciaddr does not go there', () => {
    const decision = decide(
      request('request', { ciaddr: '198.51.100.7' }, asking('10.77.0.100', SERVER)),
      world(),
    );
    expect(decision).toMatchObject({ step: 'ack', to: { address: '255.255.255.255', port: 'client' } });
  });

  test('a NAK carries its three options and no address', () => {
    const decision = decide(request('request', {}, asking('10.77.0.50', SERVER)), world());
    if (decision.kind !== 'reply') throw new Error(outcome(decision));
    expect(decision.message).toMatchObject({
      ciaddr: '0.0.0.0',
      yiaddr: '0.0.0.0',
      siaddr: '0.0.0.0',
      file: '',
    });
    expect([...decision.message.options]).toEqual([
      [53, Uint8Array.of(6)],
      [54, Uint8Array.of(10, 77, 0, 1)],
      [56, text('not in pool')],
    ]);
  });

  test('another server chosen: the address held for it is free again', () => {
    const here = world();
    perform(decide(request('discover', {}, asking('10.77.0.101')), here), here);
    perform(decide(request('request', {}, asking('10.77.0.5', '10.77.0.9')), here), here);
    expect(outcome(decide(request('discover', { mac: OTHER_MAC }, asking('10.77.0.101')), here))).toBe(
      'offer 10.77.0.101',
    );
  });

  test('a name a client gives itself is kept only where it is a host name', () => {
    const named = (name: string) => {
      const decision = decide(
        request('request', {}, { 12: text(name), ...asking('10.77.0.101', SERVER) }),
        world(),
      );
      return (
        decision.kind === 'reply' && decision.changes[0]?.type === 'put' && decision.changes[0].lease.hostname
      );
    };
    expect(named('lab-3.example')).toBe('lab-3.example');
    expect(named('a\x1b[31m')).toBeUndefined();
    expect(named('a'.repeat(64))).toBeUndefined();
  });
});
