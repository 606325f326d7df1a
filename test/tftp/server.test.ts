import { afterEach, describe, expect, test } from 'vitest';
import { memoryFile } from '../../imager/images/boot-files.ts';
import { encodePacket, type Packet } from '../../imager/tftp/codec.ts';
import { Probe } from './probe.ts';
import { type Served, sampleBytes, serve } from './served.ts';

const KERNEL = sampleBytes(100_000);
let served: Served | undefined;
const probes: Probe[] = [];
afterEach(async () => {
  await Promise.all(probes.splice(0).map((probe) => probe.close()));
  await served?.server.close();
  expect(served?.open()).toBe(0);
  served = undefined;
});

async function start(...args: Parameters<typeof serve>) {
  served = await serve(...args);
  return { ...served, port: served.server.port };
}

async function probe(address?: string): Promise<Probe> {
  const opened = await Probe.open(address);
  probes.push(opened);
  return opened;
}

describe('a transfer', () => {
  test('on a port of its own, with events and figures', async () => {
    const { port, event, server } = await start({ kernel: KERNEL });
    const client = await probe();
    expect(await client.fetch(port, 'kernel', { blksize: '1000', windowsize: '8', tsize: '0' })).toEqual(
      KERNEL,
    );
    expect(await event('transfer-start')).toMatchObject({
      component: 'tftp',
      address: '127.0.0.1',
      detail: { file: 'kernel', size: 100_000, blksize: 1000, windowsize: 8 },
    });
    const end = await event('transfer-end');
    expect(end.detail).toMatchObject({ file: 'kernel', bytes: 100_000, resent: 0 });
    expect(end.detail?.seconds).toBeGreaterThan(0);
    expect(server.stats()).toMatchObject({ 'transfers.done': 1, 'sent.bytes': 100_000 });
  });

  test('the offer answers each option, and data comes from the same port', async () => {
    const { port } = await start({ kernel: KERNEL });
    const client = await probe();
    client.read(port, 'kernel', { tsize: '0', blksize: '1468', timeout: '2', windowsize: '4' });
    const offer = await client.next();
    expect(offer.port).not.toBe(port);
    expect(offer.packet).toEqual({
      type: 'oack',
      options: new Map([
        ['tsize', '100000'],
        ['blksize', '1468'],
        ['timeout', '2'],
        ['windowsize', '4'],
      ]),
    });
    client.ack(0, offer.port);
    for (let block = 1; block <= 4; block++) {
      const { packet, port: tid } = await client.next();
      expect(packet).toMatchObject({ type: 'data', block });
      expect(tid).toBe(offer.port);
    }
  });

  test('a lost block comes again soon, without being asked for', async () => {
    const { port } = await start({ kernel: KERNEL });
    const client = await probe();
    client.read(port, 'kernel');
    const first = await client.next();
    client.ack(1, first.port);
    expect((await client.next()).packet).toMatchObject({ block: 2 });
    const before = performance.now();
    expect((await client.next()).packet).toMatchObject({ block: 2 });
    expect(performance.now() - before).toBeLessThan(150);
  });

  test('the same request again opens no second transfer', async () => {
    const { port, server } = await start({ kernel: KERNEL });
    const client = await probe();
    client.read(port, 'kernel');
    client.read(port, 'kernel');
    const first = await client.next();
    const again = await client.next();
    expect(again.port).toBe(first.port);
    expect(server.stats()).toMatchObject({ 'transfers.started': 1, 'dropped.request-repeated': 1 });
  });

  test('a node that reboots and asks from the same port gets a new transfer at once', async () => {
    const { port, event, events } = await start({ kernel: KERNEL });
    const client = await probe();
    client.read(port, 'kernel');
    const first = await client.next();
    client.ack(1, first.port);
    await client.next();
    client.read(port, 'kernel');
    // Nothing from the former transfer before: who waits for a first packet takes an ERROR from any port for its own.
    const second = await client.next();
    expect(second.port).not.toBe(first.port);
    expect(second.packet).toMatchObject({ type: 'data', block: 1 });
    expect(await event('transfer-failed')).toMatchObject({ reason: 'superseded' });
    const { detail } = await event('transfer-start');
    expect(events.map((each) => each.detail?.port)).toEqual([detail?.port, detail?.port, detail?.port]);
    expect(detail?.port).toBeGreaterThan(1023);
  });

  test('a stranger on the transfer port gets error 5 and disturbs nothing (RFC 1350 section 4)', async () => {
    const { port, server } = await start({ kernel: KERNEL });
    const [client, stranger] = [await probe(), await probe()];
    client.read(port, 'kernel');
    const first = await client.next();
    stranger.ack(1, first.port);
    stranger.send({ type: 'error', code: 0, message: 'stop' }, first.port);
    expect((await stranger.next()).packet).toMatchObject({ type: 'error', code: 5 });
    client.ack(1, first.port);
    let packet: Packet;
    do packet = (await client.next()).packet;
    while (packet.type === 'data' && packet.block === 1);
    expect(packet).toMatchObject({ type: 'data', block: 2 });
    expect(server.stats()['dropped.unknown-tid']).toBe(2);
  });
});

describe('refusals', () => {
  const rrq = (file: string, mode: 'octet' | 'mail' = 'octet', options: [string, string][] = []): Packet => ({
    ...{ type: 'rrq', file, mode },
    options: new Map(options),
  });
  const broken = Object.assign(new Error('secret path /x'), { code: 'EIO' });
  const denied = Object.assign(new Error('secret path /x'), { code: 'EACCES' });
  test.each([
    ['an unknown file', rrq('nope'), 1, 'unknown-file'],
    ['a write', { type: 'wrq', file: 'kernel', mode: 'octet', options: new Map() } as Packet, 2, 'write'],
    ['mode mail', rrq('kernel', 'mail'), 4, 'mode'],
    ['an option nobody could meet', rrq('kernel', 'octet', [['blksize', '4']]), 8, 'option'],
    ['a file that cannot be opened', rrq('broken'), 0, 'open-failed'],
    ['a file that may not be read', rrq('denied'), 2, 'access'],
  ])('%s', async (_name, packet, code, reason) => {
    const { port, event, server } = await start({ kernel: KERNEL, broken, denied });
    const client = await probe();
    client.send(packet, port);
    const answer = (await client.next()).packet;
    expect(answer).toMatchObject({ type: 'error', code });
    expect(JSON.stringify(answer)).not.toContain('secret');
    expect(await event('refused')).toMatchObject({ reason, address: '127.0.0.1' });
    expect(server.stats()[`refused.${reason}`]).toBe(1);
  });

  test('a request that cannot be read gets error 4, anything else silence; each is counted', async () => {
    const { port, server } = await start({ kernel: KERNEL });
    const client = await probe();
    client.send(Buffer.from('\0\x01kernel\0binary\0'), port);
    expect((await client.next()).packet).toMatchObject({ type: 'error', code: 4 });
    client.send(Buffer.from([0]), port);
    client.send(Buffer.from([0, 9, 1, 1]), port);
    client.ack(1, port);
    client.send({ type: 'error', code: 0, message: 'x' }, port);
    client.send(Buffer.from('\0\x01kernel'), port);
    expect((await client.next()).packet).toMatchObject({ type: 'error', code: 4 });
    expect(server.stats()).toMatchObject({
      'dropped.mode': 1,
      'dropped.short': 1,
      'dropped.opcode': 1,
      'dropped.unexpected-ack': 1,
      'dropped.unexpected-error': 1,
      'dropped.unterminated': 1,
    });
  });

  test('more transfers than the limits, of one client and of all, wait: who asks again once there is a place gets it', async () => {
    const { port, event, server } = await start({ kernel: KERNEL }, { maxTransfers: 3, maxPerClient: 2 });
    const clients = [await probe(), await probe(), await probe()];
    for (const client of clients.slice(0, 2)) {
      client.read(port, 'kernel');
      client.ack(1, (await client.next()).port);
    }
    clients[2]!.read(port, 'kernel');
    expect(await event('refused')).toMatchObject({ reason: 'too-many-per-client' });
    const [third, fourth] = [await probe('127.0.0.2'), await probe('127.0.0.3')];
    third.read(port, 'kernel');
    const ending = await third.next();
    third.ack(1, ending.port);
    fourth.read(port, 'kernel');
    while (server.stats()['refused.too-many-transfers'] === undefined)
      await new Promise((resolve) => setImmediate(resolve));
    expect(served!.events.at(-1)).toMatchObject({ reason: 'too-many-transfers', address: '127.0.0.3' });
    third.send({ type: 'error', code: 0, message: 'switched off' }, ending.port);
    await event('transfer-failed');
    fourth.read(port, 'kernel');
    // The first thing it hears: no error before.
    expect((await fourth.next()).packet).toMatchObject({ type: 'data', block: 1 });
  });
});

describe('stores that fail', () => {
  test('a file that ends early is an error, never a short file', async () => {
    const { port, event } = await start({
      half: { ...memoryFile(KERNEL.subarray(0, 70_000)), size: 100_000 },
    });
    await expect((await probe()).fetch(port, 'half')).rejects.toThrow('error 0');
    expect(await event('transfer-failed')).toMatchObject({ reason: 'short-file' });
  });

  test('a read that fails in the middle too', async () => {
    const whole = memoryFile(sampleBytes(2_000_000));
    const read = (target: Uint8Array, offset: number) =>
      offset > 500_000 ? Promise.reject(new Error('secret disk')) : whole.read(target, offset);
    const { port, event } = await start({ bad: { ...whole, read } });
    const failure = await (await probe()).fetch(port, 'bad').catch((error: Error) => error.message);
    expect(failure).toMatch(/^error 0/);
    expect(failure).not.toContain('secret');
    expect(await event('transfer-failed')).toMatchObject({ reason: 'read-failed' });
  });

  test('a slow store is waited for without sending anything twice', async () => {
    const whole = memoryFile(sampleBytes(300_000));
    const read = async (target: Uint8Array, offset: number) => {
      await new Promise((resolve) => setTimeout(resolve, 120));
      return whole.read(target, offset);
    };
    const { port, event } = await start({ slow: { ...whole, read } });
    const client = await probe();
    expect((await client.fetch(port, 'slow', { windowsize: '8' })).length).toBe(300_000);
    expect((await event('transfer-end')).detail).toMatchObject({ resent: 0 });
  });

  test('what is held of a large file is bounded', async () => {
    let furthest = 0;
    const size = 1 << 30;
    const read = async (target: Uint8Array, offset: number) => {
      furthest = offset + target.length;
      return target.length;
    };
    const { port } = await start({ large: { ...memoryFile(new Uint8Array()), size, read } });
    const client = await probe();
    client.read(port, 'large', { blksize: '1468', windowsize: '64' });
    const offer = await client.next();
    client.ack(0, offer.port);
    for (let count = 0; count < 64; count++) await client.next();
    expect(furthest).toBeLessThanOrEqual(1.1 * 2 ** 20);
  });
});

test('a client that breaks off while the store reads is no fault of the store', async () => {
  const whole = memoryFile(sampleBytes(1_000_000));
  let reading = () => {};
  const begun = new Promise<void>((resolve) => {
    reading = resolve;
  });
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const read = async (target: Uint8Array, offset: number) => {
    if (offset > 130_000) {
      reading();
      await held;
    }
    return whole.read(target, offset);
  };
  const { port, server, event } = await start({ kernel: { ...whole, read } });
  const client = await probe();
  client.read(port, 'kernel', { blksize: '1000' });
  const offer = await client.next();
  for (let block = 0; block <= 70; block++) {
    client.ack(block, offer.port);
    await client.next();
  }
  await begun;
  client.send({ type: 'error', code: 0, message: 'User aborted' }, offer.port);
  while (server.stats()['dropped.unexpected-ack'] === undefined) {
    client.ack(1, port);
    await new Promise((resolve) => setImmediate(resolve));
  }
  letGo();
  expect(await event('transfer-failed')).toMatchObject({ reason: 'client-error' });
  expect(Object.keys(server.stats()).filter((key) => key.startsWith('file.'))).toEqual([]);
});

test('closing tells the clients and leaves nothing open, also while files are being opened', async () => {
  const { port, server, open, event } = await start({ kernel: KERNEL });
  const [client, late] = [await probe(), await probe()];
  client.read(port, 'kernel', { blksize: '600' });
  await client.next();
  late.read(port, 'kernel');
  await Promise.all([server.close(), server.close()]);
  expect((await client.next()).packet).toMatchObject({ type: 'error', code: 0 });
  expect(await event('transfer-failed')).toMatchObject({ reason: 'shutdown' });
  expect(open()).toBe(0);
});

test('a port in use is an error at start', async () => {
  const { port } = await start({});
  await expect(serve({}, { port })).rejects.toThrow(/EADDRINUSE/);
});

test('20,000 mutated packets at both ports, and it still serves', async () => {
  const { port, server } = await start({ kernel: KERNEL }, { maxTransfers: 8 });
  const [client, noise, talker] = [await probe(), await probe(), await probe()];
  talker.read(port, 'kernel', { windowsize: '4' });
  const tid = (await talker.next()).port;
  const templates = [
    encodePacket({ type: 'rrq', file: 'kernel', mode: 'octet', options: new Map([['blksize', '1468']]) }),
    encodePacket({ type: 'rrq', file: '../etc/shadow', mode: 'netascii', options: new Map() }),
    encodePacket({ type: 'wrq', file: 'kernel', mode: 'octet', options: new Map([['tsize', '9']]) }),
    encodePacket({ type: 'ack', block: 3 }),
    encodePacket({ type: 'data', block: 3, data: new Uint8Array(40) }),
    encodePacket({ type: 'error', code: 3, message: 'disk full' }),
  ];
  const random = sampleBytes(200_000);
  let at = 0;
  const byte = () => random[at++ % random.length]!;
  for (let count = 0; count < 20_000; count++) {
    const packet = Uint8Array.from(templates[byte() % templates.length]!);
    for (let flips = byte() % 4; flips > 0; flips--) packet[byte() % packet.length] = byte();
    const cut = byte() % 8 === 0 ? packet.subarray(0, byte() % packet.length) : packet;
    // Errors may end the talker's transfer, as they should: from its own port only now and then.
    const from = byte() % 64 === 0 ? talker : noise;
    from.send(cut, byte() % 2 === 0 ? port : tid);
    if (count % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await client.fetch(port, 'kernel')).toEqual(KERNEL);
  const dropped = Object.entries(server.stats()).filter(([key]) => key.startsWith('dropped.'));
  expect(dropped.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(1000);
  expect(server.stats()['failed.internal']).toBeUndefined();
}, 120_000);
