/** Beside somebody else's DHCP server: what boot firmware is told, and that nobody is given an address. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import type { Sender } from '../../imager/dhcp/boot-server.ts';
import { type DhcpMessage, decodeMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import type { DhcpConfig } from '../../imager/dhcp/config.ts';
import type { Decision } from '../../imager/dhcp/decision.ts';
import { DhcpError } from '../../imager/dhcp/error.ts';
import { addressToBytes } from '../../imager/dhcp/ipv4.ts';
import { decideProxy } from '../../imager/dhcp/proxy.ts';
import { DhcpServer } from '../../imager/dhcp/server.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { asking, fixedReservations, MAC, machineIdentifier, request, SERVER, text, world } from './fakes.ts';

const UID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const OTHER = '10.77.0.254';
const BROADCAST = { address: '255.255.255.255', port: 'client' };
const N1 = { node: 'n1', uid: UID };

function capture(name: string): DhcpMessage {
  const hex = readFileSync(join(import.meta.dirname, 'captures', `${name}.hex`), 'utf8');
  return decodeMessage(Uint8Array.from(Buffer.from(hex.replaceAll('\n', ''), 'hex')));
}

function proxyWorld(changes: Partial<DhcpConfig> = {}) {
  return world({
    reservations: [N1],
    config: { pools: [], bootFile: () => ({ file: 'ipxe/boot.bin' }), ...changes },
  });
}

/** The reply as it leaves; throws where there is none. */
function replyTo(message: DhcpMessage, changes: Partial<DhcpConfig> = {}, sender?: Sender) {
  const decision = decideProxy(message, proxyWorld(changes), sender);
  if (decision.kind !== 'reply') throw new Error(`no reply: ${JSON.stringify(decision)}`);
  const { bytes, omitted } = encodeMessage(decision.message, decision.limit);
  expect(omitted).toEqual([]);
  return { decision, reply: decodeMessage(bytes) };
}

const http = () =>
  request('discover', {}, { 60: text('HTTPClient:Arch:00016:UNDI:003000'), 93: Uint8Array.of(0, 16) });
const bios = () =>
  request('discover', {}, { 60: text('PXEClient:Arch:00000:UNDI:002001'), 93: Uint8Array.of(0, 0) });

describe('DISCOVER', () => {
  test('a BIOS ROM: the whole message', () => {
    const { decision, reply } = replyTo(bios());
    expect(decision.to).toEqual(BROADCAST);
    expect(decision.detail).toEqual({ file: 'ipxe/boot.bin', server: SERVER });
    expect(decision.changes).toEqual([]);
    const { options, ...fields } = reply;
    expect(fields).toMatchObject({
      op: 'reply',
      ciaddr: '0.0.0.0',
      yiaddr: '0.0.0.0',
      siaddr: SERVER,
      giaddr: '0.0.0.0',
      mac: MAC,
      file: 'ipxe/boot.bin',
    });
    // Nothing of addresses: no mask (1), router (3), lease (51), renewal (58, 59).
    expect([...options]).toEqual([
      [53, Uint8Array.of(2)],
      [54, addressToBytes(SERVER)],
      [60, text('PXEClient')],
      [43, Uint8Array.of(6, 1, 8, 255)],
      [66, text(SERVER)],
      [67, text('ipxe/boot.bin')],
    ]);
  });

  test('UEFI: the class alone, so that it asks port 4011, and its machine identifier', () => {
    const message = capture('ovmf-pxe-discover');
    const { decision, reply } = replyTo(message, { nextServer: '10.77.0.9' });
    expect([...reply.options.keys()]).toEqual([53, 54, 60, 97, 66, 67]);
    expect(reply.options.get(97)).toEqual(message.options.get(97));
    expect(reply).toMatchObject({ yiaddr: '0.0.0.0', siaddr: SERVER, broadcast: true });
    expect(decision.subject).toMatchObject({ node: 'n1', step: 'discover', address: undefined });
  });

  test('iPXE takes the file of the offer', () => {
    const { reply } = replyTo(capture('ipxe-discover'));
    expect(reply.options.get(43)).toEqual(Uint8Array.of(6, 1, 8, 255));
    expect(reply.options.get(60)).toEqual(text('PXEClient'));
    expect(reply).toMatchObject({ yiaddr: '0.0.0.0', file: 'ipxe/boot.bin' });
    // Option 176 (no proxy) would have it throw this offer away.
    expect(reply.options.has(175)).toBe(false);
  });

  test('HTTP boot: the class that it insists on, and a URL', () => {
    const { reply } = replyTo(http(), { bootFile: () => ({ file: 'http://10.77.0.1/ipxe/snponly.efi' }) });
    expect([...reply.options.keys()]).toEqual([53, 54, 60, 66, 67]);
    expect(reply.options.get(60)).toEqual(text('HTTPClient'));
    expect(reply.options.get(67)).toEqual(text('http://10.77.0.1/ipxe/snponly.efi'));
  });

  test('through a relay agent: back to it, with its option at the end', () => {
    const agent = Uint8Array.of(1, 2, 0xab, 0xcd);
    const message = { ...bios(), giaddr: '10.77.0.3' };
    message.options.set(82, agent);
    const { decision, reply } = replyTo(message);
    expect(decision.to).toEqual({ address: '10.77.0.3', port: 'server' });
    expect([...reply.options].at(-1)).toEqual([82, agent]);
  });

  test("the operator's options, as far as they are about booting", () => {
    const menu = Uint8Array.of(9, 5, 0, 0, 2, 0x6f, 0x6b, 255);
    const options = [
      { code: 43, value: menu, for: { architecture: 0 } },
      { code: 210, value: text('site/') },
      { code: 51, value: Uint8Array.of(0, 0, 0, 9) },
      { code: 3, value: addressToBytes(OTHER) },
      { code: 67, value: text('other'), for: { node: 'n9' } },
    ];
    const { reply } = replyTo(bios(), { options });
    expect([...reply.options.keys()]).toEqual([53, 54, 60, 43, 66, 67, 210]);
    expect(reply.options.get(43)).toEqual(menu);
    expect(reply.options.get(67)).toEqual(text('ipxe/boot.bin'));
  });

  test.each([
    ['an operating system of a stranger', request('discover', {}), 'no-boot-firmware'],
    ['a reply', { ...bios(), op: 'reply' as const }, 'not-request'],
    ['who gives up the address of another server', request('release', {}), 'no-boot-firmware'],
  ])('%s is not answered', (_who, message, reason) => {
    expect(decideProxy(message, proxyWorld())).toMatchObject({ kind: 'silence', reason });
  });

  test('where there is nothing to boot, the event says why', () => {
    const nothing = proxyWorld({ bootFile: () => ({ why: 'no iPXE for it' }) });
    expect(decideProxy(bios(), nothing)).toMatchObject({
      kind: 'silence',
      reason: 'no-boot-file',
      subject: { detail: { why: 'no iPXE for it', arch: 0 } },
    });
    // A path is no URL.
    expect(decideProxy(http(), proxyWorld())).toMatchObject({
      reason: 'no-boot-file',
      subject: { detail: { why: expect.stringMatching(/URL/) } },
    });
  });
});

describe('port 4011', () => {
  const sender = { address: '10.77.0.60', port: 68 };
  const asks = (changes: Partial<DhcpMessage> = {}, options: Record<number, Uint8Array> = {}) => {
    const seed = capture('ovmf-pxe-discover');
    const entries = Object.entries(options).map(([code, value]) => [Number(code), value] as const);
    const own = new Map([...seed.options, [53, Uint8Array.of(3)] as const, ...entries]);
    return { ...seed, ciaddr: sender.address, options: own, ...changes };
  };

  test('UEFI with its address: ACK to where it came from, and its address is known', () => {
    const { decision, reply } = replyTo(asks(), { nextServer: '10.77.0.9' }, sender);
    expect(decision.to).toEqual(sender);
    expect(reply.options.get(53)).toEqual(Uint8Array.of(5));
    expect(reply).toMatchObject({
      ciaddr: sender.address,
      yiaddr: '0.0.0.0',
      siaddr: '10.77.0.9',
      file: 'ipxe/boot.bin',
    });
    expect(reply.options.has(51)).toBe(false);
    expect(decision.changes).toMatchObject([
      { type: 'put', lease: { address: sender.address, node: 'n1', client: 'node:n1', state: 'bound' } },
    ]);
  });

  test('a boot item that is asked for is answered by its name', () => {
    const item = Uint8Array.of(0, 71, 4, 0, 5, 0, 1, 255);
    const { reply } = replyTo(asks({}, { 43: item }), {}, sender);
    expect(reply.options.get(43)).toEqual(Uint8Array.of(71, 4, 0, 5, 0, 1, 255));
    // The item was on the operator's own menu, which is no answer to what was chosen from it.
    const options = [{ code: 43, value: Uint8Array.of(9, 5, 0, 0, 2, 0x6f, 0x6b, 255) }];
    const chosen = replyTo(asks({}, { 43: item }), { options }, sender);
    expect(chosen.reply.options.get(43)).toEqual(Uint8Array.of(71, 4, 0, 5, 0, 1, 255));
  });

  test.each([
    ['a DISCOVER', asks({}, { 53: Uint8Array.of(1) }), sender, 'message-type'],
    ['who names another server', asks({}, asking(undefined, OTHER)), sender, 'other-server'],
    ['a sender without address', asks(), { address: '0.0.0.0', port: 68 }, 'no-address'],
    ['a sender without port', asks(), { ...sender, port: 0 }, 'no-address'],
  ])('%s is not answered', (_who, message, from, reason) => {
    expect(decideProxy(message, proxyWorld(), from)).toMatchObject({ kind: 'silence', reason });
  });

  test('an address of no network of ours is not kept', () => {
    const far = { address: '192.0.2.5', port: 68 };
    const { decision } = replyTo(asks({ ciaddr: far.address }), {}, far);
    expect(decision.changes).toEqual([]);
  });
});

describe('what is heard of the other server', () => {
  const taking = (address: string) =>
    request('request', {}, { ...asking(address, OTHER), 97: machineIdentifier(UID) });

  test('the address a node takes there is its address, and its former one is forgotten', async () => {
    const seen = proxyWorld();
    const first = decideProxy(taking('10.77.0.60'), seen);
    expect(first).toMatchObject({
      kind: 'quiet',
      reason: 'other-server',
      subject: { step: 'request', address: '10.77.0.60', node: 'n1', detail: { server: OTHER } },
      changes: [{ type: 'put', lease: { address: '10.77.0.60', node: 'n1', uid: UID, mac: MAC } }],
    });
    if (first.kind === 'quiet') await seen.leases.apply(first.changes);
    // Known, and not worth another write.
    expect(decideProxy(taking('10.77.0.60'), seen)).toMatchObject({ kind: 'quiet', changes: [] });
    expect(decideProxy(taking('10.77.0.60'), { ...seen, now: seen.now + 1_900_000 })).toMatchObject({
      changes: [{ type: 'put' }],
    });
    expect(decideProxy(taking('10.77.0.61'), seen)).toMatchObject({
      changes: [
        { type: 'put', lease: { address: '10.77.0.61' } },
        { type: 'delete', address: '10.77.0.60' },
      ],
    });
  });

  test('a node that takes another address than it is configured with: the event says so', () => {
    const fixed = world({ reservations: [{ ...N1, address: '10.77.0.11' }], config: { pools: [] } });
    expect(decideProxy(taking('10.77.0.60'), fixed).subject.detail).toMatchObject({
      why: expect.stringMatching(/^configured with 10\.77\.0\.11: /),
    });
    expect(decideProxy(taking('10.77.0.11'), fixed).subject.detail).not.toHaveProperty('why');
  });

  test('its operating system, which sends no UID, is still the node', async () => {
    const seen = proxyWorld();
    const first = decideProxy(taking('10.77.0.60'), seen);
    if (first.kind === 'quiet') await seen.leases.apply(first.changes);
    const later = request('request', {}, asking('10.77.0.62', OTHER));
    expect(decideProxy(later, seen)).toMatchObject({ kind: 'quiet', subject: { node: 'n1' } });
  });

  test.each([
    ['a stranger', request('request', {}, { ...asking('10.77.0.60', OTHER), 60: text('PXEClient') })],
    ['an address of another network', taking('192.0.2.1')],
    ['a broadcast address', taking('10.77.0.255')],
  ])('%s: nothing is kept', (_who, message) => {
    expect(decideProxy(message, proxyWorld())).toMatchObject({ kind: 'silence', reason: 'other-server' });
  });

  test('who asks this server for an address gets neither that nor a NAK', () => {
    const message = request('request', {}, { ...asking('10.77.0.60', SERVER), 97: machineIdentifier(UID) });
    expect(decideProxy(message, proxyWorld())).toMatchObject({ kind: 'silence', reason: 'proxy-only' });
  });
});

test('whatever comes: no address is given, no NAK sent, nobody is probed', () => {
  const option = fc.oneof(
    fc.constantFrom<[number, Uint8Array]>(
      [60, text('PXEClient:Arch:00007')],
      [60, text('HTTPClient')],
      [97, machineIdentifier(UID)],
      [54, addressToBytes(SERVER)],
      [54, addressToBytes(OTHER)],
      [50, addressToBytes('10.77.0.77')],
      [175, Uint8Array.of(1, 1, 1)],
    ),
    fc.tuple(fc.integer({ min: 1, max: 254 }), fc.uint8Array({ maxLength: 40 })),
  );
  const address = fc.constantFrom('0.0.0.0', '10.77.0.60', '10.77.0.255', '192.0.2.1');
  const messages = fc.record({ type: fc.integer({ min: 0, max: 12 }), ciaddr: address, giaddr: address });
  const senders = fc.option(fc.record({ address, port: fc.integer({ min: 0, max: 65_535 }) }), {
    nil: undefined,
  });
  fc.assert(
    fc.property(messages, fc.array(option), senders, ({ type, ...fields }, options, sender) => {
      const all = new Map([[53, Uint8Array.of(type)] as const, ...options]);
      let decision: Decision;
      try {
        decision = decideProxy({ ...bios(), ...fields, options: all }, proxyWorld(), sender);
      } catch (error) {
        expect(error).toBeInstanceOf(DhcpError);
        return;
      }
      expect(decision.kind).not.toBe('probe');
      if (decision.kind !== 'reply') return;
      expect(decision.message.yiaddr).toBe('0.0.0.0');
      expect(decision.step).toMatch(/^(offer|ack)$/);
      expect([...decision.message.options.keys()]).not.toContain(51);
      expect(decision.offer).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});

describe('the server', () => {
  let server: DhcpServer | undefined;
  let socket: Socket | undefined;
  afterEach(async () => {
    socket?.close();
    await server?.close();
  });

  test('both ports answer, each from itself; strangers are counted and not told', async () => {
    const events: BootEvent[] = [];
    const registry = new MemoryRegistry();
    server = await DhcpServer.start({
      mode: 'proxy',
      config: {
        serverAddress: '127.0.0.1',
        prefix: 8,
        leaseSeconds: 600,
        bootFile: () => ({ file: 'boot.bin' }),
      },
      reservations: fixedReservations([N1]),
      inUse: () => false,
      registry,
      sink: (event) => events.push(event),
      clock: systemClock,
      log: pino({ level: 'silent' }),
      ports: { server: 0, client: 68, bootServer: 0 },
      listenAddress: '127.0.0.1',
      interfaces: () => ({}),
    });
    const { port, bootServerPort } = server;
    expect(bootServerPort).not.toBe(port);
    // Relay agents listen on the server's port: answers come here.
    socket = createSocket('udp4');
    socket.bind(port, '127.0.0.2');
    await once(socket, 'listening');
    const ask = async (message: DhcpMessage, to: number) => {
      const answer = once(socket!, 'message');
      socket!.send(encodeMessage(message).bytes, to, '127.0.0.1');
      const [bytes, from] = (await answer) as [Uint8Array, { port: number }];
      return { reply: decodeMessage(bytes), from: from.port };
    };
    const ciaddr = '127.0.0.2';
    socket.send(encodeMessage(request('discover', {})).bytes, port, '127.0.0.1');
    const offer = await ask({ ...capture('ovmf-pxe-discover'), giaddr: ciaddr }, port);
    expect(offer).toMatchObject({ from: port, reply: { yiaddr: '0.0.0.0', file: 'boot.bin' } });
    const question = capture('ovmf-pxe-discover');
    question.options.set(53, Uint8Array.of(3));
    const ack = await ask({ ...question, ciaddr }, bootServerPort!);
    expect(ack).toMatchObject({
      from: bootServerPort,
      reply: { ciaddr, yiaddr: '0.0.0.0', file: 'boot.bin' },
    });
    expect(server.leases()).toMatchObject([{ address: ciaddr, node: 'n1', active: true }]);
    expect(server.stats()).toMatchObject({ 'sent.offer': 1, 'sent.ack': 1, 'dropped.no-boot-firmware': 1 });
    expect(events.map(({ step, node }) => [step, node])).toEqual([
      ...[
        ['discover', 'n1'],
        ['offer', 'n1'],
        ['request', 'n1'],
        ['ack', 'n1'],
      ],
    ]);
  });
});
