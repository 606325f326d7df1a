/** What is offered to whom: whole messages in, decisions out. */
import { describe, expect, test } from 'vitest';
import { encodeMessage } from '../../imager/dhcp/codec.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import type { Lease } from '../../imager/dhcp/lease.ts';
import { OFFER_MS } from '../../imager/dhcp/lease.ts';
import {
  asking,
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
