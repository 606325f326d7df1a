/** The server's sockets and stores, on loopback. The tests are relays, so that answers come to them by unicast. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { NetworkInterfaceInfo } from 'node:os';
import fc from 'fast-check';
import { type Logger, pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DhcpMessage, decodeMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import type { DhcpConfig } from '../../imager/dhcp/config.ts';
import { DhcpServer } from '../../imager/dhcp/server.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { openUdp } from '../../imager/udp/open.ts';
import { asking, BrokenRegistry, fixedReservations, MAC, request, text } from './fakes.ts';

const SERVER = '127.0.0.1';
const RELAY = '127.0.0.2';
const NODE_MAC = '52:54:00:ff:ff:ff';

let registry: BrokenRegistry;
let server: DhcpServer;
let relay: Socket;
let events: BootEvent[];
let warnings: string[];
let interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = {};

beforeEach(async () => {
  registry = new BrokenRegistry();
  events = [];
  warnings = [];
  server = await start();
  relay = createSocket({ type: 'udp4' });
  relay.bind(server.port, RELAY);
  await once(relay, 'listening');
});

afterEach(async () => {
  relay.close();
  await server.close();
});

function start(
  listenAddress = SERVER,
  port = 0,
  menu?: DhcpConfig['menu'],
  asked: (address: string) => void = () => {},
): Promise<DhcpServer> {
  const reservations = fixedReservations([{ node: 'n1', mac: NODE_MAC, address: '127.0.0.50' }]);
  const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) }) as Logger;
  return DhcpServer.start({
    config: {
      serverAddress: SERVER,
      prefix: 24,
      pools: [{ from: '127.0.0.100', to: '127.0.0.199' }],
      leaseSeconds: 600,
      bootFile: () => ({ file: 'boot.img' }),
      ...(menu === undefined ? {} : { menu }),
    },
    reservations: {
      ...reservations,
      byAddress: (address) => {
        asked(address);
        return reservations.byAddress(address);
      },
    },
    inUse: () => false,
    registry,
    sink: (event) => events.push(event),
    clock: systemClock,
    log,
    ports: { server: port, client: 68, bootServer: 0 },
    listenAddress,
    interfaces: () => interfaces,
  });
}

async function answer(): Promise<DhcpMessage> {
  const [bytes] = (await once(relay, 'message')) as [Buffer];
  return decodeMessage(bytes);
}

function send(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) =>
    relay.send(bytes, server.port, SERVER, (error) => (error ? reject(error) : resolve())),
  );
}

/** Sends a message through the relay and gives its answer. */
async function ask(message: DhcpMessage): Promise<DhcpMessage> {
  const [reply] = await Promise.all([answer(), send(encodeMessage(message).bytes)]);
  return reply;
}

const relayed = { giaddr: RELAY };

test('DISCOVER, OFFER, REQUEST, ACK; events and counters tell them', async () => {
  const offer = await ask(request('discover', relayed));
  expect(offer).toMatchObject({ op: 'reply', xid: 0x12345678, file: 'boot.img', siaddr: SERVER });
  const ack = await ask(request('request', relayed, asking(offer.yiaddr, SERVER)));
  expect(ack.options.get(53)).toEqual(Uint8Array.of(5));
  expect(ack.yiaddr).toBe(offer.yiaddr);
  expect(events.map(({ step, mac, reason }) => [step, mac, reason])).toEqual([
    ['discover', MAC, undefined],
    ['offer', MAC, undefined],
    ['request', MAC, undefined],
    ['ack', MAC, undefined],
  ]);
  expect(events[3]).toMatchObject({
    component: 'dhcp',
    address: offer.yiaddr,
    detail: { seconds: 600, file: 'boot.img' },
  });
  expect(server.stats()).toEqual({
    'received.discover': 1,
    'received.request': 1,
    'sent.ack': 1,
    'sent.offer': 1,
  });
  expect(server.leases()).toMatchObject([{ address: offer.yiaddr, mac: MAC, active: true }]);
});

test('no ACK leaves before the lease is durable', async () => {
  const offer = await ask(request('discover', relayed));
  let letGo = () => {};
  registry.held = new Promise((resolve) => {
    letGo = resolve;
  });
  await send(encodeMessage(request('request', relayed, asking(offer.yiaddr, SERVER))).bytes);
  // Others are served meanwhile: the next answer is theirs.
  const other = await ask(request('discover', { ...relayed, mac: '52:54:00:00:00:02' }));
  expect(other.mac).toBe('52:54:00:00:00:02');
  expect(registry.get(['lease', offer.yiaddr])).toBeUndefined();
  const late = answer();
  letGo();
  expect((await late).options.get(53)).toEqual(Uint8Array.of(5));
  expect(registry.get(['lease', offer.yiaddr])).toMatchObject({ mac: MAC });
});

test('no ACK at all where the lease cannot be stored', async () => {
  const offer = await ask(request('discover', relayed));
  registry.broken = true;
  await send(encodeMessage(request('request', relayed, asking(offer.yiaddr, SERVER))).bytes);
  await expectEvent(({ reason }) => reason === 'registry-failed');
  expect(server.stats()).toMatchObject({ 'failed.registry': 1 });
  expect(server.stats()['sent.ack']).toBeUndefined();
  registry.broken = false;
  expect((await ask(request('request', relayed, asking(offer.yiaddr, SERVER)))).yiaddr).toBe(offer.yiaddr);
});

test('a reason is counted each time and logged once', async () => {
  await send(Uint8Array.of(1, 2, 3));
  await send(Uint8Array.of(1, 2, 3));
  await send(encodeMessage({ ...request('discover', relayed), op: 'reply' }).bytes);
  await ask(request('discover', relayed));
  expect(server.stats()).toMatchObject({ 'dropped.short': 2, 'dropped.not-request': 1 });
  expect(warnings.filter((line) => line.includes('dropped.short'))).toHaveLength(1);
});

test('an ignored option is counted; a dropped packet that names its sender is an event', async () => {
  await ask(request('discover', relayed, { 93: Uint8Array.of(7), 57: Uint8Array.of(5) }));
  expect(server.stats()).toMatchObject({ 'ignored.option-93': 1, 'ignored.option-57': 1, 'sent.offer': 1 });
  events = [];
  await send(Uint8Array.of(1, 2, 3));
  await send(encodeMessage(request('discover', relayed, { 50: Uint8Array.of(1) })).bytes);
  const truncated = encodeMessage(request('discover', relayed)).bytes.slice(0, 244);
  truncated.set([12, 200], 242);
  await send(truncated);
  await send(encodeMessage(request('offer', relayed)).bytes);
  await ask(request('discover', relayed));
  expect(events.slice(0, -2)).toEqual(
    ['option-length', 'option-truncated', 'message-type'].map((reason) =>
      expect.objectContaining({ component: 'dhcp', step: 'dropped', mac: MAC, reason }),
    ),
  );
});

test('a second server on the same port is an error at start', async () => {
  const first = await start('0.0.0.0');
  const outcome = await start('0.0.0.0', first.port).then(
    async (second) => {
      await second.close();
      return 'started';
    },
    (error: NodeJS.ErrnoException) => error.code,
  );
  await first.close();
  expect(outcome).toBe('EADDRINUSE');
});

test('a start on all interfaces warns of those of other networks, one on an address does not', async () => {
  const of = (address: string, more = {}) =>
    ({ address, family: 'IPv4', internal: false, ...more }) as NetworkInterfaceInfo;
  interfaces = {
    lo: [of('127.0.0.53', { internal: true })],
    nodes: [of(SERVER), of('127.0.0.9')],
    wlan0: [of('192.0.2.7')],
    tunnel: [of('fe80::1', { family: 'IPv6' })],
  };
  warnings = [];
  await (await start('0.0.0.0')).close();
  expect(warnings.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ interfaces: ['wlan0 (192.0.2.7)'] }),
  ]);
  warnings = [];
  await (await start()).close();
  expect(warnings).toEqual([]);
});

test('an error in the configured choice of boot files is no end of the server', async () => {
  await server.close();
  let choices = 0;
  const broken = await DhcpServer.start({
    config: {
      serverAddress: SERVER,
      prefix: 24,
      pools: [{ from: '127.0.0.100', to: '127.0.0.199' }],
      leaseSeconds: 600,
      bootFile: ({ userClass }) => {
        choices++;
        if (userClass === 'bad' || choices === 1) throw new Error('no such boot file');
        return undefined;
      },
    },
    reservations: fixedReservations([]),
    inUse: () => false,
    registry,
    sink: (event) => events.push(event),
    clock: systemClock,
    log: pino({ level: 'silent' }),
    ports: { server: server.port, client: 68 },
    listenAddress: SERVER,
  });
  // The first one was for nobody, before anybody could ask.
  expect(choices).toBe(1);
  expect([broken.stats(), broken.leases(), events]).toEqual([{}, [], []]);
  await send(encodeMessage(request('discover', relayed, { 77: text('bad') })).bytes);
  expect((await ask(request('discover', { ...relayed, mac: NODE_MAC }))).siaddr).toBe('0.0.0.0');
  expect(broken.stats()).toMatchObject({ 'failed.internal': 1, 'sent.offer': 1 });
  server = broken;
});

test('with the default sockets: port 0 is one port for both, and closing frees it', async () => {
  const wide = await start('0.0.0.0');
  const { port } = wide;
  expect(port).toBeGreaterThan(0);
  await wide.close();
  const socket = createSocket({ type: 'udp4' });
  socket.bind(port, '0.0.0.0');
  await once(socket, 'listening');
  socket.close();
});

test('it does not start on an address no interface has, or with a configuration that contradicts itself', async () => {
  const base = {
    config: { serverAddress: '192.0.2.1', prefix: 24, leaseSeconds: 60, bootFile: () => undefined },
  };
  const rest = {
    reservations: fixedReservations([]),
    inUse: () => false,
    registry,
    sink: () => {},
    clock: systemClock,
    log: pino({ level: 'silent' }),
    ports: { server: 0, client: 68 },
  };
  await expect(DhcpServer.start({ ...base, ...rest })).rejects.toThrow(/EADDRNOTAVAIL/);
  for (const [change, words] of [
    [{ pools: [{ from: '192.0.2.9', to: '192.0.2.3' }] }, /pool 192.0.2.9 to 192.0.2.3/],
    [{ pools: [{ from: '192.0.3.9', to: '192.0.3.10' }] }, /not a range of hosts in 192.0.2.0\/24/],
    [{ pools: [{ from: '192.0.2.9', to: '192.0.2.255' }] }, /pool/],
    [{ prefix: 31 }, /prefix 31/],
    [{ leaseSeconds: 0 }, /lease of 0/],
    [{ serverAddress: '192.0.2.01' }, /"192.0.2.01" is not/],
    [{ router: 'gw' }, /"gw" is no address/],
  ] as const)
    await expect(DhcpServer.start({ config: { ...base.config, ...change }, ...rest })).rejects.toThrow(words);
});

test('the pool is worked out before the first client asks', async () => {
  await server.close();
  const asked: string[] = [];
  server = await start(SERVER, 0, undefined, (address) => asked.push(address));
  expect(asked).toContain('127.0.0.199');
});

test('a start that fails leaves the ports free', async () => {
  class Unreadable extends BrokenRegistry {
    override range(): never {
      throw new Error('no registry');
    }
  }
  const { port } = server;
  await server.close();
  registry = new Unreadable();
  await expect(start(SERVER, port)).rejects.toThrow('no registry');
  registry = new BrokenRegistry();
  server = await start(SERVER, port);
});

test('what the kernel drops of port 4011 is counted too', async () => {
  await server.close();
  server = await start(SERVER, 0, () => undefined);
  // Sent faster than this process can take them: it does not before this loop ends.
  const bytes = new Uint8Array(4000);
  const sender = await openUdp({ address: RELAY, port: 0 });
  for (let count = 0; count < 4000; count++) sender.send(bytes, server.bootServerPort!, SERVER);
  const { 'dropped.receive-queue': drops } = server.stats();
  await sender.close();
  expect(drops).toBeGreaterThan(0);
});

test('20,000 mutated packets, then it still answers', async () => {
  const seeds = [
    request('discover', relayed, {
      60: text('PXEClient:Arch:00007'),
      93: Uint8Array.of(0, 7),
      55: Uint8Array.of(1, 3, 67),
    }),
    request('request', relayed, {
      ...asking('127.0.0.150', SERVER),
      97: new Uint8Array(17),
      61: new Uint8Array(7),
    }),
    request('decline', relayed, asking('127.0.0.150', SERVER)),
    request('release', { ...relayed, ciaddr: '127.0.0.150' }, { 52: Uint8Array.of(3) }),
    request('inform', { ...relayed, ciaddr: '127.0.0.99' }),
  ].map((message) => encodeMessage(message).bytes);
  const mutated = fc
    .tuple(
      fc.constantFrom(...seeds),
      // Mostly where the options are; some in the fixed fields and the cookie.
      fc.array(fc.tuple(fc.oneof(fc.integer({ min: 240, max: 299 }), fc.nat(299)), fc.nat(255)), {
        maxLength: 6,
      }),
      fc.option(fc.nat(300), { freq: 8 }),
    )
    .map(([seed, changes, cut]) => {
      const bytes = seed.slice();
      for (const [offset, value] of changes) bytes[offset] = value;
      return cut === null ? bytes : bytes.subarray(0, cut);
    });
  // Whatever is answered is a message; the node's answer is the one to wait for.
  const answered = new Promise<string>((resolve) =>
    relay.on('message', (bytes) => {
      const reply = decodeMessage(bytes);
      if (reply.mac === NODE_MAC) resolve(reply.yiaddr);
    }),
  );
  const before = total(server.stats());
  const packets = fc.sample(mutated, 20_000);
  // In portions a socket buffer holds, each taken in before the next, so that none is lost on the way.
  for (let at = 0; at < packets.length; at += 50) {
    await Promise.all(packets.slice(at, at + 50).map(send));
    while (total(server.stats()) - before < Math.min(at + 50, packets.length))
      await new Promise((resolve) => setImmediate(resolve));
  }
  const stats = server.stats();
  expect(stats['failed.internal']).toBeUndefined();
  expect(stats['sent.offer']).toBeGreaterThan(100);
  expect(stats['dropped.option-truncated']).toBeGreaterThan(100);
  await send(encodeMessage(request('discover', { ...relayed, mac: NODE_MAC })).bytes);
  expect(await answered).toBe('127.0.0.50');
}, 180_000);

/** Messages taken in: each is one of these counters. */
function total(stats: Record<string, number>): number {
  const steps = Object.entries(stats).filter(
    ([key]) => key.startsWith('received.') || /^failed\.internal/.test(key),
  );
  const faults = [
    'short',
    'long',
    'op',
    'hardware',
    'cookie',
    'option-truncated',
    'overload',
    'option-length',
    'option-value',
  ];
  const notSteps = ['asked-again', 'overload', 'not-request', 'bootp', 'message-type'];
  return (
    steps.reduce((sum, [, count]) => sum + count, 0) +
    [...faults, ...notSteps].reduce((sum, reason) => sum + (stats[`dropped.${reason}`] ?? 0), 0)
  );
}

/** Resolves when an event, past or to come, matches. */
async function expectEvent(matches: (event: BootEvent) => boolean): Promise<void> {
  while (!events.some(matches)) await new Promise((resolve) => setImmediate(resolve));
}
