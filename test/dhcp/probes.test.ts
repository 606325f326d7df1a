/** Asking whether an address is in use before it is offered: who waits for it, and what comes of it. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DhcpMessage, decodeMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import { Probes } from '../../imager/dhcp/probes.ts';
import { DhcpServer } from '../../imager/dhcp/server.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import {
  asking,
  bind,
  fixedReservations,
  MAC,
  N1,
  OTHER_MAC,
  outcome,
  request,
  text,
  world,
} from './fakes.ts';

describe('who is asked after', () => {
  const probe = { probe: true };
  test.each<[string, Record<number, Uint8Array>, string]>([
    ['an operating system', {}, 'probe 10.77.0.102'],
    ['a PXE ROM', { 60: text('PXEClient:Arch:00000:UNDI:002001') }, 'offer 10.77.0.102'],
    ['UEFI HTTP boot', { 60: text('HTTPClient:Arch:00016:UNDI:003016') }, 'offer 10.77.0.102'],
    ['iPXE', { 175: Uint8Array.of(177, 1, 1) }, 'offer 10.77.0.102'],
    ['U-Boot', { 93: Uint8Array.of(0, 0x16) }, 'offer 10.77.0.102'],
  ])('%s', (_who, options, expected) => {
    expect(outcome(decide(request('discover', {}, options), world({ config: probe })))).toBe(expected);
    expect(outcome(decide(request('discover', {}, options), world()))).toBe('offer 10.77.0.102');
  });

  test('nobody whose address the configuration or a lease names', () => {
    expect(outcome(decide(request('discover'), world({ config: probe, reservations: [N1] })))).toBe(
      `offer ${N1.address}`,
    );
    const here = world({ config: probe, probed: { '10.77.0.102': 'silent' } });
    const address = bind(MAC, here);
    const later = { ...here, probed: () => undefined };
    expect(outcome(decide(request('discover'), later))).toBe(`offer ${address}`);
    here.now += 3_600_001;
    expect(outcome(decide(request('discover'), { ...later, now: here.now }))).toBe(`probe ${address}`);
  });

  test('an address that answers is nobody s but of whoever has a lease of it', () => {
    const probed = { '10.77.0.102': 'answers', '10.77.0.100': 'silent', '10.77.0.101': 'answers' } as const;
    const here = world({ config: probe, probed });
    expect(outcome(decide(request('discover'), here))).toBe('offer 10.77.0.100');
    expect(outcome(decide(request('request', {}, asking('10.77.0.102', '10.77.0.1')), here))).toBe(
      'nak: address-answers',
    );
    void here.leases.apply([
      {
        type: 'put',
        lease: {
          address: '10.77.0.102',
          client: `mac:${MAC}`,
          mac: MAC,
          state: 'bound',
          start: 0,
          expires: 2e6,
        },
      },
    ]);
    expect(outcome(decide(request('request', { ciaddr: '10.77.0.102' }), here))).toBe('ack 10.77.0.102');
  });
});

describe('results', () => {
  test('count for a while, and questions that cannot be asked count as silence', async () => {
    let now = 1000;
    const failures: string[] = [];
    const probes = new Probes(
      async (address) => {
        if (address === '10.0.0.9') throw new Error('no ping');
        return address === '10.0.0.1';
      },
      { now: () => now },
      (error) => failures.push(error.message),
    );
    for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.9']) await probes.ask(address);
    const results = () => ['10.0.0.1', '10.0.0.2', '10.0.0.9', '10.0.0.3'].map((each) => probes.result(each));
    expect(results()).toEqual(['answers', 'silent', 'silent', undefined]);
    expect(failures).toEqual(['no ping']);
    now += 30_000;
    expect(results()).toEqual(['answers', undefined, undefined, undefined]);
    now += 570_000;
    expect(results()).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('more addresses than are asked after at once count as silent; one is not asked after twice', async () => {
    let answer = (_: boolean) => {};
    const waits = new Promise<boolean>((resolve) => {
      answer = resolve;
    });
    const probes = new Probes(
      () => waits,
      systemClock,
      () => {},
    );
    const all = Array.from({ length: 16 }, (_, n) => probes.ask(`10.0.0.${n}`));
    expect(probes.ask('10.0.0.3')).toBeUndefined();
    expect(probes.result('10.0.0.3')).toBeUndefined();
    expect(probes.result('10.0.0.99')).toBe('silent');
    answer(false);
    await Promise.all(all);
    expect(probes.result('10.0.0.99')).toBeUndefined();
  });
});

describe('the server', () => {
  const SERVER = '127.0.0.1';
  const RELAY = '127.0.0.4';
  let server: DhcpServer;
  let relay: Socket;
  let events: BootEvent[];
  let asked: { address: string; answer: (answers: boolean) => void }[];

  beforeEach(async () => {
    events = [];
    asked = [];
    server = await DhcpServer.start({
      config: {
        serverAddress: SERVER,
        prefix: 24,
        pools: [{ from: '127.0.0.100', to: '127.0.0.105' }],
        leaseSeconds: 600,
        probe: true,
        bootFile: () => undefined,
      },
      reservations: fixedReservations([]),
      inUse: () => false,
      registry: new MemoryRegistry(),
      sink: (event) => events.push(event),
      clock: systemClock,
      log: pino({ level: 'silent' }),
      ports: { server: 0, client: 68 },
      listenAddress: SERVER,
      interfaces: () => ({}),
      ask: (address) =>
        new Promise((answer) => {
          asked.push({ address, answer });
          relay.emit('asked');
        }),
    });
    relay = createSocket({ type: 'udp4' });
    relay.bind(server.port, RELAY);
    await once(relay, 'listening');
  });
  afterEach(async () => {
    for (const { answer } of asked) answer(true);
    relay.close();
    await server.close();
  });

  const send = (message: DhcpMessage) => relay.send(encodeMessage(message).bytes, server.port, SERVER);
  const answer = async () => decodeMessage(((await once(relay, 'message')) as [Buffer])[0]);

  test('asks, passes over who answers, and offers what is silent; others are served meanwhile', async () => {
    send(request('discover', { giaddr: RELAY }));
    await once(relay, 'asked');
    const firmware = answer();
    send(request('discover', { giaddr: RELAY, mac: OTHER_MAC }, { 93: Uint8Array.of(0, 7) }));
    const [first] = asked;
    expect((await firmware).yiaddr).not.toBe(first!.address);
    const again = once(relay, 'asked');
    first!.answer(true);
    await again;
    const second = asked[1]!;
    expect(second.address).not.toBe(first!.address);
    const offered = answer();
    second.answer(false);
    expect((await offered).yiaddr).toBe(second.address);
    expect(
      events.filter(({ mac }) => mac === MAC).map(({ step, address, reason }) => [step, address, reason]),
    ).toEqual([
      ['probe', first!.address, 'address-answers'],
      ['probe', second.address, undefined],
      ['discover', second.address, undefined],
      ['offer', second.address, undefined],
    ]);
    expect(server.stats()).toMatchObject({
      'received.discover': 2,
      'probed.address-answers': 1,
      'probed.silent': 1,
      'sent.offer': 2,
    });
  });

  test('a client that asks again meanwhile is not asked after again', async () => {
    send(request('discover', { giaddr: RELAY }));
    await once(relay, 'asked');
    send(request('discover', { giaddr: RELAY }));
    // The server takes one message after the other: the answer to a third says that the second has been seen.
    const firmware = answer();
    send(request('discover', { giaddr: RELAY, mac: OTHER_MAC }, { 93: Uint8Array.of(0, 7) }));
    await firmware;
    expect(asked).toHaveLength(1);
    expect(server.stats()).toMatchObject({ 'dropped.probing': 1 });
  });

  test('gives up after four addresses that answer', async () => {
    send(request('discover', { giaddr: RELAY }));
    for (let n = 0; n < 4; n++) {
      await once(relay, 'asked');
      asked[n]!.answer(true);
    }
    const firmware = answer();
    send(request('discover', { giaddr: RELAY, mac: OTHER_MAC }, { 93: Uint8Array.of(0, 7) }));
    await firmware;
    expect(server.stats()).toMatchObject({ 'dropped.address-answers': 1, 'probed.address-answers': 4 });
  });
});
