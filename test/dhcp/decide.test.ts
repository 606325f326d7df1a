/** What is answered to what: whole messages in, decisions out. */
import { describe, expect, test } from 'vitest';
import { encodeMessage } from '../../imager/dhcp/codec.ts';
import { decide, OFFER_MS } from '../../imager/dhcp/decide.ts';
import type { Decision } from '../../imager/dhcp/decision.ts';
import { DhcpError } from '../../imager/dhcp/error.ts';
import { DECLINE_MS } from '../../imager/dhcp/held.ts';
import type { Lease } from '../../imager/dhcp/lease.ts';
import type { World } from '../../imager/dhcp/world.ts';
import { asking, MAC, machineIdentifier, request, SERVER, text, world } from './fakes.ts';

const OTHER_MAC = '52:54:00:00:00:02';
const NODE_MAC = '52:54:00:00:00:04';
const UID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const N1 = { node: 'n1', address: '10.77.0.11', hostname: 'one', mac: MAC };

type Leased = ReturnType<typeof world>;

/** Does to the leases what the server would do. */
function perform(decision: Decision, { leases }: Leased): Decision {
  if ('offer' in decision && decision.offer !== undefined) leases.offer(decision.offer);
  if ('changes' in decision) void leases.apply(decision.changes);
  return decision;
}

/** What a decision comes to, in a few words. */
function outcome(decision: Decision): string {
  if (decision.kind === 'silence') return `silence: ${decision.reason}`;
  if (decision.kind === 'probe') return `probe ${decision.address}`;
  if (decision.kind === 'quiet') return `quiet: ${decision.changes.map((change) => change.type).join()}`;
  if (decision.step === 'nak') return `nak: ${decision.reason}`;
  return `${decision.step} ${decision.message.yiaddr}`;
}

/** DISCOVER and REQUEST; gives the address. */
function bind(mac: string, here: Leased): string {
  const offer = perform(decide(request('discover', { mac }), here), here);
  if (offer.kind !== 'reply') throw new Error(outcome(offer));
  const address = offer.message.yiaddr;
  perform(decide(request('request', { mac }, asking(address, SERVER)), here), here);
  return address;
}

function lease(fields: Partial<Lease>): Lease {
  return {
    address: '10.77.0.100',
    client: `mac:${MAC}`,
    mac: MAC,
    state: 'bound',
    start: 0,
    expires: 2e6,
    ...fields,
  };
}

describe('DISCOVER', () => {
  test('iPXE of a configured node is told not to wait for a proxy, that of a stranger only with a boot file', () => {
    const noProxy = (config: Parameters<typeof world>[0]) => {
      const decision = decide(request('discover', {}, { 175: Uint8Array.of(177, 1, 1) }), world(config));
      return decision.kind === 'reply' ? decision.message.options.get(175) : undefined;
    };
    const yes = Uint8Array.of(176, 1, 1);
    expect(noProxy({ reservations: [N1], config: { bootFile: () => undefined } })).toEqual(yes);
    expect(noProxy({ config: { bootFile: () => undefined } })).toBeUndefined();
    expect(noProxy({ config: { bootFile: () => ({ file: 'http://10.77.0.1/x' }) } })).toEqual(yes);
  });

  test('a reservation by MAC: the whole offer', () => {
    const here = world({
      reservations: [N1],
      config: {
        dns: ['10.77.0.2', '10.77.0.3'],
        bootFile: () => ({ file: 'a.img' }),
      },
    });
    const decision = decide(request('discover', {}, { 55: Uint8Array.of(58, 59, 28, 67, 66) }), here);
    if (decision.kind !== 'reply') throw new Error(outcome(decision));
    expect(decision.message).toEqual({
      ...request('discover'),
      op: 'reply',
      yiaddr: '10.77.0.11',
      siaddr: SERVER,
      file: 'a.img',
      options: new Map([
        [53, Uint8Array.of(2)],
        [54, Uint8Array.of(10, 77, 0, 1)],
        [51, Uint8Array.of(0, 0, 0x0e, 0x10)], // 3600 s
        [58, Uint8Array.of(0, 0, 0x07, 0x08)], // half of it
        [59, Uint8Array.of(0, 0, 0x0c, 0x4e)], // seven eighths
        [1, Uint8Array.of(255, 255, 255, 0)],
        [3, Uint8Array.of(10, 77, 0, 1)],
        [6, Uint8Array.of(10, 77, 0, 2, 10, 77, 0, 3)],
        [28, Uint8Array.of(10, 77, 0, 255)],
        [12, text('one')],
        [67, text('a.img')],
        [66, text(SERVER)],
      ]),
    });
    expect(decision).toMatchObject({
      step: 'offer',
      to: { address: '255.255.255.255', port: 'client' },
      offer: {
        type: 'hold',
        offer: { address: '10.77.0.11', client: 'node:n1', expires: here.now + OFFER_MS },
      },
      changes: [],
      subject: { step: 'discover', mac: MAC, address: '10.77.0.11', node: 'n1' },
    });
  });

  test('a reservation by UID wins over one by MAC', () => {
    const here = world({ reservations: [N1, { node: 'n2', address: '10.77.0.12', uid: UID }] });
    expect(outcome(decide(request('discover', {}, { 97: machineIdentifier(UID) }), here))).toBe(
      'offer 10.77.0.12',
    );
  });

  test('a UID boards ship unset is nobody', () => {
    const here = world({ reservations: [{ node: 'n2', address: '10.77.0.12', uid: UID }] });
    const unset = machineIdentifier('ffffffff-ffff-ffff-ffff-ffffffffffff');
    expect(outcome(decide(request('discover', {}, { 97: unset }), here))).toMatch(/^offer 10\.77\.0\.10\d$/);
  });

  test.each<[string, Parameters<typeof world>[0], Lease[], string]>([
    ['no pool, no reservation', { config: { pools: [] } }, [], 'silence: unknown-client'],
    ['its present lease', {}, [lease({ address: '10.77.0.102' })], 'offer 10.77.0.102'],
    [
      'its expired lease, still free',
      {},
      [lease({ address: '10.77.0.102', expires: 1 })],
      'offer 10.77.0.102',
    ],
    [
      'a reserved address held by a stranger',
      { reservations: [N1] },
      [lease({ address: '10.77.0.11', client: 'mac:x', mac: OTHER_MAC })],
      'silence: leased-to-other',
    ],
    [
      'a reserved address it held before it was reserved',
      { reservations: [N1] },
      [lease({ address: '10.77.0.11' })],
      'offer 10.77.0.11',
    ],
    [
      'a reserved address that was declined',
      { reservations: [N1] },
      [lease({ address: '10.77.0.11', state: 'declined' })],
      'silence: address-declined',
    ],
    [
      'the pool with one address left',
      {},
      ['100', '101'].map((end) => lease({ address: `10.77.0.${end}`, client: end, mac: OTHER_MAC })),
      'offer 10.77.0.102',
    ],
    [
      'a full pool',
      {},
      ['100', '101', '102'].map((end) => lease({ address: `10.77.0.${end}`, client: end, mac: OTHER_MAC })),
      'silence: pool-exhausted',
    ],
    [
      'a pool without unused addresses: the longest expired',
      {},
      ['100', '101', '102'].map((end, i) =>
        lease({ address: `10.77.0.${end}`, client: end, mac: OTHER_MAC, expires: [30, 10, 20][i]! }),
      ),
      'offer 10.77.0.101',
    ],
    [
      'reserved addresses inside the pool are passed over',
      {
        reservations: [
          { node: 'n8', address: '10.77.0.102' },
          { node: 'n9', address: '10.77.0.100' },
        ],
      },
      [],
      'offer 10.77.0.101',
    ],
    [
      'router and server inside the pool are passed over',
      { config: { router: '10.77.0.102', dns: ['10.77.0.100'] } },
      [],
      'offer 10.77.0.101',
    ],
  ])('%s', (_what, options, leases, expected) => {
    const here = world(options);
    void here.leases.apply(leases.map((value) => ({ type: 'put', lease: value })));
    expect(outcome(decide(request('discover'), here))).toBe(expected);
  });

  test('an address it asks for is given where it is free, and is held for it alone', () => {
    const here = world();
    const ask = (mac: string) =>
      outcome(perform(decide(request('discover', { mac }, asking('10.77.0.101')), here), here));
    expect(ask(MAC)).toBe('offer 10.77.0.101');
    expect(ask(OTHER_MAC)).toMatch(/^offer 10\.77\.0\.10[02]$/);
    expect(ask(MAC)).toBe('offer 10.77.0.101');
    here.now += OFFER_MS;
    expect(ask('52:54:00:00:00:03')).toBe('offer 10.77.0.101');
  });

  test('two client identifiers behind one MAC are two clients', () => {
    const here = world();
    const ask = (id: number) =>
      outcome(perform(decide(request('discover', {}, { 61: Uint8Array.of(0, id) }), here), here));
    expect(ask(1)).not.toBe(ask(2));
    expect(ask(1)).toBe(ask(1));
  });

  test('boot choices: HTTPClient gets absolute URLs or nothing, with its class echoed', () => {
    const bootFile = ({ vendorClass }: { vendorClass?: string }) => ({
      file: vendorClass?.endsWith('url') ? 'http://10.77.0.1/x.efi' : 'x.efi',
    });
    const ask = (vendorClass: string) => {
      const decision = decide(
        request('discover', {}, { 60: text(vendorClass) }),
        world({ config: { bootFile } }),
      );
      return decision.kind === 'reply' ? decision.message : undefined;
    };
    expect(ask('HTTPClient:url')).toMatchObject({ file: 'http://10.77.0.1/x.efi', siaddr: SERVER });
    expect(ask('HTTPClient:url')?.options.get(60)).toEqual(text('HTTPClient'));
    expect(ask('HTTPClient:path')).toMatchObject({ file: '', siaddr: '0.0.0.0' });
    expect(ask('HTTPClient:path')?.options.has(60)).toBe(false);
  });

  test('user classes: bare, and as the list of RFC 3004', () => {
    const seen: (string | undefined)[] = [];
    const config = { bootFile: ({ userClass }: { userClass?: string }) => void seen.push(userClass) };
    for (const value of [text('iPXE'), text('\x04iPXE\x03abc'), text('\x04iPX'), new Uint8Array(0)])
      decide(request('discover', {}, { 77: value }), world({ config }));
    expect(seen).toEqual(['iPXE', 'iPXE', '?iPX', '']);
  });

  test('through a relay: to its server port, option 82 last, and other options left out for it', () => {
    const circuit = Uint8Array.of(1, 4, 0, 0, 0, 7);
    const decision = decide(
      request('discover', { giaddr: '10.77.0.254' }, { 82: circuit, 97: machineIdentifier(UID) }),
      world(),
    );
    if (decision.kind !== 'reply') throw new Error(outcome(decision));
    expect(decision.to).toEqual({ address: '10.77.0.254', port: 'server' });
    expect([...decision.message.options].at(-1)).toEqual([82, circuit]);
    const crowded = {
      ...decision.message,
      options: new Map(decision.message.options).set(43, new Uint8Array(255)),
    };
    crowded.options.delete(82);
    crowded.options.set(82, new Uint8Array(255));
    expect(encodeMessage(crowded).omitted).toEqual([43]);
  });

  test.each([
    [30, 60],
    [600, 600],
    [0xffffffff, 3600],
  ])('a wish for a lease of %i s comes to %i s', (wish, seconds) => {
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, wish);
    const decision = decide(request('discover', {}, { 51: value }), world());
    if (decision.kind !== 'reply') throw new Error(outcome(decision));
    expect(new DataView(decision.message.options.get(51)!.buffer).getUint32(0)).toBe(seconds);
  });

  test('option 57 raises the limit to at most what Ethernet carries', () => {
    const limit = (size: number) => {
      const decision = decide(request('discover', {}, { 57: Uint8Array.of(size >> 8, size & 255) }), world());
      return decision.kind === 'reply' && decision.limit;
    };
    expect([0, 576, 1000, 1500, 9000].map(limit)).toEqual([548, 548, 972, 1472, 1472]);
  });
});

describe('one board, one address', () => {
  const mac = '52:54:00:00:00:09';
  const ownMac = Uint8Array.of(1, 0x52, 0x54, 0, 0, 0, 9);
  /** What a board sends from firmware to system: nothing, its MAC as identifier, its UUID, something of its own. */
  const guises: Record<number, Uint8Array>[] = [
    {},
    { 61: ownMac },
    { 61: machineIdentifier(UID), 97: machineIdentifier(UID) },
    { 61: Uint8Array.of(255, 1, 2, 3, 4, 0, 2, 9, 9) },
  ];
  const addresses = (here: Leased, all: Record<number, Uint8Array>[]) =>
    all.map((options) => {
      const offer = perform(decide(request('discover', { mac }, options), here), here);
      const asked = offer.kind === 'reply' ? offer.message.yiaddr : '';
      return outcome(
        perform(decide(request('request', { mac }, { ...options, ...asking(asked, SERVER) }), here), here),
      );
    });

  test.each([
    ['by MAC', { node: 'pooled', mac }],
    ['by UID, once it has said it', { node: 'pooled', uid: UID }],
  ])('a node without an address of its own, known %s', (how, node) => {
    const here = world({ reservations: [node] });
    const all = how === 'by MAC' ? guises : [guises[2]!, ...guises];
    const got = addresses(here, all);
    expect(new Set(got).size).toBe(1);
    expect(got[0]).toMatch(/^ack 10\.77\.0\.10\d$/);
    expect(here.leases.view(here.now)).toMatchObject([{ client: 'node:pooled', node: 'pooled' }]);
    expect(decide(request('discover', { mac }), here).subject.node).toBe('pooled');
  });

  test('an identifier that is the MAC is no other client than the MAC', () => {
    const here = world();
    expect(new Set(addresses(here, guises.slice(0, 2))).size).toBe(1);
    const foreign = decide(request('discover', {}, { 61: ownMac }), here);
    expect(foreign).toMatchObject({
      offer: { offer: { client: `id:${Buffer.from(ownMac).toString('hex')}` } },
    });
  });
});

describe('an address somebody is connected from', () => {
  const third = '52:54:00:00:00:03';
  const expired = (end: number, client: string) =>
    lease({ address: `10.77.0.${end}`, client: `mac:${client}`, mac: client, expires: end });

  test('is kept for its client after its lease has run out', () => {
    const here = world({ inUse: ['10.77.0.100'] });
    for (const value of [expired(100, MAC), expired(101, OTHER_MAC), expired(102, 'x')])
      void here.leases.apply([{ type: 'put', lease: value }]);
    expect(outcome(decide(request('discover', { mac: third }, asking('10.77.0.100')), here))).toBe(
      'offer 10.77.0.101',
    );
    expect(outcome(decide(request('request', { mac: third }, asking('10.77.0.100', SERVER)), here))).toBe(
      'nak: address-in-use',
    );
    expect(outcome(decide(request('discover'), here))).toBe('offer 10.77.0.100');
    expect(outcome(decide(request('request', { ciaddr: '10.77.0.100' }), here))).toBe('ack 10.77.0.100');
  });

  test('without a lease is nobody else s, but a client that renews it is whoever is there', () => {
    const here = world({ inUse: ['10.77.0.100', '10.77.0.101', '10.77.0.102'] });
    expect(outcome(decide(request('discover'), here))).toBe('silence: pool-exhausted');
    expect(outcome(decide(request('request', { ciaddr: '10.77.0.101' }), here))).toBe('ack 10.77.0.101');
  });

  test('is its node s where it is reserved', () => {
    const here = world({ reservations: [N1], inUse: [N1.address] });
    expect(outcome(decide(request('discover'), here))).toBe('offer 10.77.0.11');
  });
});

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

describe('DECLINE, RELEASE, INFORM', () => {
  test('a declined address is put aside, the client gets another, later it is used again', () => {
    const here = world();
    const address = bind(MAC, here);
    expect(outcome(perform(decide(request('decline', {}, asking(address, SERVER)), here), here))).toBe(
      'quiet: put',
    );
    expect(outcome(decide(request('discover', {}, asking(address)), here))).not.toBe(`offer ${address}`);
    expect(here.leases.view(here.now)).toMatchObject([{ address, state: 'declined', active: true }]);
    const next = bind(MAC, here);
    expect(
      here.leases
        .view(here.now)
        .map((entry) => [entry.address, entry.state])
        .sort(),
    ).toEqual(
      [
        [address, 'declined'],
        [next, 'bound'],
      ].sort(),
    );
    perform(decide(request('release', { ciaddr: next }, asking(undefined, SERVER)), here), here);
    here.now += DECLINE_MS + 1;
    expect(outcome(decide(request('discover', { mac: OTHER_MAC }, asking(address)), here))).toBe(
      `offer ${address}`,
    );
  });

  test('nobody declines or releases what another client has', () => {
    const here = world();
    const address = bind(OTHER_MAC, here);
    expect(outcome(decide(request('decline', {}, asking(address, SERVER)), here))).toBe(
      'silence: not-holder',
    );
    expect(outcome(decide(request('release', { ciaddr: address }, asking(undefined, SERVER)), here))).toBe(
      'silence: not-holder',
    );
    expect(outcome(decide(request('decline', {}, asking(undefined, SERVER)), here))).toBe(
      'silence: no-address',
    );
  });

  test('a released address is free for others and remembered for its client', () => {
    const here = world();
    const address = bind(MAC, here);
    expect(
      outcome(
        perform(decide(request('release', { ciaddr: address }, asking(undefined, SERVER)), here), here),
      ),
    ).toBe('quiet: put');
    expect(here.leases.view(here.now)).toMatchObject([{ address, state: 'released', active: false }]);
    expect(outcome(decide(request('discover'), here))).toBe(`offer ${address}`);
    expect(outcome(decide(request('discover', { mac: OTHER_MAC }, asking(address)), here))).toBe(
      `offer ${address}`,
    );
    expect(outcome(decide(request('release', { ciaddr: address }, asking(undefined, SERVER)), here))).toBe(
      'silence: not-holder',
    );
  });

  test('INFORM is answered to ciaddr without an address or a lease time, and changes nothing', () => {
    const decision = decide(request('inform', { ciaddr: '10.77.0.60' }), world());
    if (decision.kind !== 'reply') throw new Error(outcome(decision));
    expect(decision).toMatchObject({
      step: 'ack',
      changes: [],
      to: { address: '10.77.0.60', port: 'client' },
    });
    expect(decision.message).toMatchObject({ ciaddr: '10.77.0.60', yiaddr: '0.0.0.0' });
    expect([...decision.message.options.keys()]).toEqual([53, 54, 1, 3]);
    expect(outcome(decide(request('inform'), world()))).toBe('silence: other-network');
  });
});

describe('never answered', () => {
  test.each<[string, ReturnType<typeof request>, string]>([
    ['a reply', { ...request('discover'), op: 'reply' }, 'not-request'],
    ['BOOTP', { ...request('discover'), options: new Map() }, 'bootp-unreserved'],
    ['a server message', request('offer'), 'message-type'],
    ['a relay of another network', request('discover', { giaddr: '192.168.1.1' }), 'other-network'],
  ])('%s', (_what, message, reason) => {
    expect(outcome(decide(message, world()))).toBe(`silence: ${reason}`);
  });

  test.each<[string, number, number]>([
    ['a message type of two bytes', 53, 2],
    ['a requested address of three', 50, 3],
    ['a lease time of two', 51, 2],
    ['a server identifier of five', 54, 5],
    ['a vendor class of 256', 60, 256],
  ])('malformed: %s', (_what, code, length) => {
    const decided = () =>
      decide(request('discover', {}, { [code]: new Uint8Array(length) }), world() as World);
    expect(decided).toThrow(DhcpError);
    expect(decided).toThrow(expect.objectContaining({ fault: 'option-length' }));
  });
});

describe('answered without an option that is malformed and not needed', () => {
  const wrongType = machineIdentifier(UID);
  wrongType[0] = 255;
  test.each<[string, number, Uint8Array]>([
    ['a maximum size of one', 57, new Uint8Array(1)],
    ['a client identifier of one', 61, new Uint8Array(1)],
    ['a client identifier of 256', 61, new Uint8Array(256)],
    ['an architecture of three', 93, new Uint8Array(3)],
    ['an architecture of none', 93, new Uint8Array(0)],
    ['a machine identifier of sixteen', 97, new Uint8Array(16)],
    ['a machine identifier of an unknown type', 97, wrongType],
  ])('%s', (_what, code, value) => {
    const decision = decide(request('discover', {}, { [code]: value }), world());
    expect(outcome(decision)).toBe('offer 10.77.0.102');
    expect(decision.subject.ignored).toEqual([code]);
  });

  test('an interface identifier is not read at all', () => {
    const decision = decide(request('discover', {}, { 94: new Uint8Array(2) }), world());
    expect(outcome(decision)).toBe('offer 10.77.0.102');
    expect(decision.subject.ignored).toEqual([]);
  });
});
