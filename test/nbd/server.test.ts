import { type Logger, pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DiskError } from '../../imager/disks/disk.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { BufferPool } from '../../imager/nbd/buffer-pool.ts';
import { NbdServer, type NbdServerOptions } from '../../imager/nbd/server.ts';
import { eventually } from '../support/eventually.ts';
import { resetUnseen } from '../support/reset-unseen.ts';
import { MemoryCatalog, MemoryDisk } from './memory-catalog.ts';
import {
  CLIENT_FLAGS,
  DISC,
  FLUSH,
  infoRequest,
  option,
  RawClient,
  READ,
  request,
  TRIM,
  WRITE,
  ZEROES,
} from './raw-client.ts';

const MIB = 2 ** 20;
let n1: MemoryDisk;
let base: MemoryDisk;
let catalog: MemoryCatalog;
let events: BootEvent[];
let server: NbdServer;

async function start(options: Partial<NbdServerOptions> = {}): Promise<void> {
  await server?.close();
  events = [];
  server = await NbdServer.start({
    address: '127.0.0.1',
    port: 0,
    catalog,
    sink: (event) => events.push(event),
    clock: { now: () => 1000 },
    log: pino({ level: 'silent' }),
    ...options,
  });
}

/** A promise and the way to end it. */
function gate(): { wait: Promise<void>; open: () => void } {
  let open = (): void => {};
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait, open };
}

beforeEach(async () => {
  n1 = new MemoryDisk('n1', 64 * MIB);
  base = new MemoryDisk('base:b', MIB, true);
  for (let at = 0; at < MIB; at += 4) n1.content.writeUInt32LE(at, at);
  catalog = new MemoryCatalog([n1, base]);
  await start();
});

afterEach(() => server.close());

describe('handshake', () => {
  test('options one after another, then GO', async () => {
    const client = await RawClient.open(server.port);
    expect((await client.take(18)).toString('latin1', 0, 16)).toBe('NBDMAGICIHAVEOPT');
    client.send(
      CLIENT_FLAGS,
      option(8),
      option(3),
      option(6, infoRequest('base:b')),
      option(99, Buffer.alloc(9)),
    );
    expect((await client.optionReplies()).map(({ type }) => type)).toEqual([1]);
    expect((await client.optionReplies()).map(({ type }) => type)).toEqual([2, 2, 1]);
    expect((await client.optionReplies()).map(({ type }) => type)).toEqual([3, 3, 1]);
    expect((await client.optionReplies())[0]!.data.toString()).toBe('option 99 is not supported');
    expect(n1.journal.concat(base.journal)).toEqual([]);
    client.send(option(7, infoRequest('nn')));
    expect((await client.optionReplies())[0]).toEqual({
      type: 0x80000006,
      data: Buffer.from('no disk "nn"; there is: n1, base:b'),
    });
    client.send(option(7, infoRequest('n1')), request({ type: READ, offset: 400, length: 4, cookie: 7 }));
    await client.optionReplies();
    expect(await client.chunk()).toEqual({
      type: 1,
      done: true,
      cookie: 7,
      payload: Buffer.from('000000000000019090010000', 'hex'),
    });
    expect(server.connections()).toMatchObject([
      {
        address: '127.0.0.1',
        state: 'transmission',
        export: 'n1',
        readOnly: false,
        requests: 1,
        bytesRead: 4,
      },
    ]);
    expect(events).toMatchObject([
      { component: 'nbd', step: 'refused', address: '127.0.0.1', reason: 'unknown', at: 1000 },
      { component: 'nbd', step: 'attach', detail: { export: 'n1', size: 64 * MIB, readOnly: false } },
    ]);
  });

  test('blocks that clients are to have: those of what is on the disk, in INFO and GO alike', async () => {
    vi.spyOn(catalog, 'describe').mockReturnValue({ size: n1.size, readOnly: false, blockSize: 1024 });
    const client = await RawClient.open(server.port);
    await client.take(18);
    client.send(CLIENT_FLAGS, option(6, infoRequest('n1')), option(7, infoRequest('n1')));
    const preferred = async (): Promise<number[]> =>
      (await client.optionReplies())
        .filter(({ type, data }) => type === 3 && data.readUInt16BE(0) === 3)
        .map(({ data }) => data.readUInt32BE(6));
    expect(await preferred()).toEqual([1024]);
    expect(await preferred()).toEqual([1024]);
  });

  test('EXPORT_NAME of an old client: 124 zero bytes, and requests at once', async () => {
    const client = await RawClient.open(server.port);
    await client.take(18);
    client.send(Buffer.alloc(4), option(1, Buffer.from('n1')), request({ type: READ, offset: 4, length: 1 }));
    const answer = await client.take(134);
    expect(answer.readBigUInt64BE(0)).toBe(BigInt(64 * MIB));
    expect((await client.reply(1)).data[0]).toBe(4);
  });

  test('EXPORT_NAME that is unknown ends the connection, ABORT as well', async () => {
    for (const last of [option(1, Buffer.from('x')), option(2)]) {
      const client = await RawClient.open(server.port);
      client.send(CLIENT_FLAGS, last);
      await client.ended;
    }
    expect(server.stats()['refused.unknown']).toBe(1);
  });

  test('a conversation that comes byte by byte', async () => {
    const client = await RawClient.open(server.port);
    const said = Buffer.concat([
      CLIENT_FLAGS,
      option(3),
      option(7, infoRequest('n1')),
      request({ type: WRITE, offset: 8, payload: Buffer.from('hello') }),
      request({ type: WRITE, offset: 64 * MIB, payload: Buffer.from('refused') }),
      request({ type: READ, offset: 8, length: 5 }),
    ]);
    for (const byte of said) {
      client.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.take(18);
    await client.optionReplies();
    await client.optionReplies();
    expect((await client.reply()).error).toBe(0);
    expect((await client.reply()).error).toBe(28);
    expect((await client.reply(5)).data.toString()).toBe('hello');
  });

  test('option data beyond measure: skipped with an error, or the end', async () => {
    const client = await RawClient.open(server.port);
    await client.take(18);
    client.send(CLIENT_FLAGS, option(7, Buffer.alloc(500_000)), option(2));
    expect((await client.optionReplies())[0]!.type).toBe(0x80000009);
    await client.ended;
    const rude = await RawClient.open(server.port);
    rude.send(CLIENT_FLAGS, option(7, Buffer.alloc(2 * MIB)));
    await rude.ended;
    expect(server.stats()['dropped.option']).toBe(1);
  });

  test.each([
    ['flags', Buffer.from('80000000', 'hex')],
    ['magic', Buffer.concat([CLIENT_FLAGS, Buffer.alloc(16)])],
    ['option', Buffer.concat([Buffer.alloc(4), option(3)])],
  ])('nonsense (%s) ends the connection and is counted', async (reason, bytes) => {
    const client = await RawClient.open(server.port);
    client.send(bytes);
    await client.ended;
    expect(server.stats()[`dropped.${reason}`]).toBe(1);
  });

  test('a client that opens nothing is dropped in time', async () => {
    await start({ handshakeTimeoutMs: 30 });
    const client = await RawClient.open(server.port);
    await client.ended;
    expect(server.stats()['dropped.timeout']).toBe(1);
  });

  test('one connection too many is refused', async () => {
    await start({ maxConnections: 1 });
    const first = await RawClient.attach(server.port, 'n1');
    const second = await RawClient.open(server.port);
    await second.ended;
    expect(server.stats()['refused.full']).toBe(1);
    first.socket.destroy();
  });

  test('a hundred nodes have their disks, and one of them alone cannot take the places of all', async () => {
    for (let n = 0; n < 100; n++) catalog.disks.push(new MemoryDisk(`d${n}`, 4096));
    const greedy = await Promise.all(
      Array.from({ length: 32 }, () => RawClient.attach(server.port, 'base:b', '127.0.1.1')),
    );
    const more = await RawClient.open(server.port, '127.0.1.1');
    await more.ended;
    expect(server.stats()['refused.address-full']).toBe(1);
    expect(events.at(-1)).toMatchObject({ step: 'refused', address: '127.0.1.1', reason: 'address-full' });
    for (let n = 0; n < 100; n++) await RawClient.attach(server.port, `d${n}`, `127.0.2.${n + 1}`);
    expect(server.connections()).toHaveLength(132);
    greedy[0]?.socket.destroy();
    await eventually(() => expect(server.connections()).toHaveLength(131));
    await RawClient.attach(server.port, 'base:b', '127.0.1.1');
  });
});

describe('transmission', () => {
  test('write, trim and zeroes reach the disk; FUA flushes before it answers', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    client.send(request({ type: WRITE, offset: 1, payload: Buffer.from('abc'), flags: 1 }));
    await client.reply();
    client.send(request({ type: TRIM, offset: 0, length: 9 }));
    await client.reply();
    client.send(request({ type: ZEROES, offset: 5, length: 64 * MIB - 5, flags: 3 }));
    await client.reply();
    client.send(request({ type: FLUSH }));
    await client.reply();
    expect(n1.journal).toEqual([
      'open 127.0.0.1',
      'write 1 3',
      'flush',
      'trim 0 9',
      `zeroes 5 ${64 * MIB - 5} false`,
      'flush',
      'flush',
    ]);
  });

  test('a slow request does not hold up the others', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    const slow = gate();
    n1.gates.write = slow.wait;
    client.send(request({ type: WRITE, payload: Buffer.from('x'), cookie: 1 }));
    client.send(request({ type: READ, offset: 4, length: 1, cookie: 2 }));
    expect((await client.reply(1)).cookie).toBe(2);
    slow.open();
    expect((await client.reply()).cookie).toBe(1);
  });

  test('refused requests are answered and counted, and the conversation goes on', async () => {
    const client = await RawClient.attach(server.port, 'base:b');
    client.send(request({ type: WRITE, payload: Buffer.alloc(100_000, request({ type: DISC })), cookie: 1 }));
    expect(await client.reply()).toMatchObject({ cookie: 1, error: 1 });
    client.send(request({ type: READ, offset: MIB, length: 1 }), request({ type: 9, length: 1 }));
    expect((await client.reply()).error).toBe(22);
    expect((await client.reply()).error).toBe(22);
    client.send(request({ type: READ, length: 33 * MIB }), request({ type: READ, length: 4, flags: 4 }));
    expect((await client.reply()).error).toBe(22);
    expect((await client.reply()).error).toBe(22);
    expect(server.stats()).toMatchObject({
      'refused.read-only': 1,
      'refused.range': 1,
      'refused.command': 1,
      'refused.length': 1,
      'refused.flags': 1,
    });
  });

  test.each([
    ['EIO', 5],
    ['ENOSPC', 28],
    ['ENOMEM', 12],
    ['EPERM', 1],
  ] as const)('a disk that fails with %s is told so', async (code, errno) => {
    const client = await RawClient.attach(server.port, 'n1');
    n1.failure = new DiskError(code, 'broken');
    client.send(request({ type: READ, length: 512, cookie: 1 }));
    expect(await client.reply()).toMatchObject({ cookie: 1, error: errno });
    client.send(request({ type: WRITE, payload: Buffer.from('x'), cookie: 2 }));
    expect(await client.reply()).toMatchObject({ cookie: 2, error: errno });
    client.send(request({ type: FLUSH, cookie: 3 }));
    expect(await client.reply()).toMatchObject({ cookie: 3, error: errno });
    expect(server.stats()[`failed.${code}`]).toBe(3);
  });

  test('long reads that fail give their memory back', async () => {
    const [take, giveBack] = [
      vi.spyOn(BufferPool.prototype, 'take'),
      vi.spyOn(BufferPool.prototype, 'giveBack'),
    ];
    const client = await RawClient.attach(server.port, 'n1');
    n1.failure = new DiskError('EIO', 'broken');
    for (let cookie = 0; cookie < 5; cookie++) {
      client.send(request({ type: READ, length: MIB, cookie }));
      expect(await client.reply()).toMatchObject({ cookie, error: 5 });
    }
    expect(take).toHaveBeenCalledTimes(5);
    expect(giveBack).toHaveBeenCalledTimes(5);
    vi.restoreAllMocks();
  });

  test('the longest payloads, written and read', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    const payload = Buffer.alloc(32 * MIB, 'payload!');
    client.send(request({ type: WRITE, offset: 32 * MIB, payload }));
    expect((await client.reply()).error).toBe(0);
    client.send(request({ type: READ, offset: 32 * MIB, length: 32 * MIB }));
    expect((await client.reply(32 * MIB)).data.equals(payload)).toBe(true);
  });

  test('a client that takes no replies stops being read; nothing is lost', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    client.socket.pause();
    for (let cookie = 0; cookie < 100; cookie++)
      client.send(request({ type: READ, offset: cookie * 4, length: MIB, cookie }));
    await eventually(() => expect(server.connections()[0]!.requests).toBeGreaterThan(2));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(server.connections()[0]!.requests).toBeLessThan(30);
    expect(n1.mostBytes).toBeLessThanOrEqual(9 * MIB);
    client.socket.resume();
    for (let cookie = 0; cookie < 100; cookie++) {
      const reply = await client.reply(MIB);
      expect([reply.cookie, reply.data.readUInt32LE(0)]).toEqual([cookie, cookie * 4]);
    }
  });

  test('many small requests in one go are all answered', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    const requests = Array.from({ length: 3000 }, (_, i) =>
      request({ type: READ, offset: i * 4, length: 4, cookie: i }),
    );
    client.send(...requests);
    const seen = new Set<number>();
    for (let i = 0; i < 3000; i++) {
      const { cookie, data } = await client.reply(4);
      expect(data.readUInt32LE(0)).toBe(cookie * 4);
      seen.add(cookie);
    }
    expect(seen.size).toBe(3000);
  });

  test('very many small requests right behind NBD_OPT_GO are all answered', async () => {
    const client = await RawClient.open(server.port);
    await client.take(18);
    const requests = Array.from({ length: 6000 }, (_, i) =>
      request({ type: READ, offset: i * 4, length: 4, cookie: i }),
    );
    client.send(CLIENT_FLAGS, option(7, infoRequest('n1')), ...requests);
    await client.optionReplies();
    const seen = new Set<number>();
    while (seen.size < 6000) {
      const { cookie, data } = await client.reply(4);
      expect(data.readUInt32LE(0)).toBe(cookie * 4);
      seen.add(cookie);
    }
  });

  test('a wrong magic ends the connection', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    client.send(Buffer.alloc(28));
    await client.ended;
    expect(server.stats()).toMatchObject({ 'dropped.magic': 1, 'detached.protocol': 1 });
    expect(n1.journal.at(-1)).toBe('close');
  });

  test('a stalled client is dropped', async () => {
    await start({ stallTimeoutMs: 60 });
    const client = await RawClient.attach(server.port, 'n1');
    client.socket.pause();
    for (let i = 0; i < 20; i++) client.send(request({ type: READ, length: MIB }));
    await eventually(() => expect(server.stats()['detached.stalled']).toBe(1));
    client.socket.destroy();
  });
});

describe('the end of a connection', () => {
  test('DISC: what is under way is answered, then the end', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    const slow = gate();
    n1.gates.write = slow.wait;
    client.send(request({ type: WRITE, payload: Buffer.from('x'), cookie: 1 }), request({ type: DISC }));
    await eventually(() => expect(server.connections()[0]!.inFlight).toBe(1));
    slow.open();
    expect((await client.reply()).cookie).toBe(1);
    await client.ended;
    expect(n1.journal).toEqual(['open 127.0.0.1', 'write 0 1', 'close']);
    expect(events.at(-1)).toEqual({
      at: 1000,
      component: 'nbd',
      step: 'detach',
      address: '127.0.0.1',
      detail: { export: 'n1', requests: 2, bytesRead: 0, bytesWritten: 1 },
    });
    await eventually(() => expect(server.connections()).toEqual([]));
  });

  test('a client that says with DISC that it sends no more is answered what is under way', async () => {
    const reading = gate();
    n1.gates.read = reading.wait;
    const client = await RawClient.attach(server.port, 'n1');
    client.send(request({ type: READ, cookie: 1, length: 4 }), request({ type: DISC }));
    client.socket.end();
    await eventually(() => expect(server.connections()[0]!.requests).toBe(2));
    await new Promise((resolve) => setTimeout(resolve, 20));
    reading.open();
    expect(await client.reply(4)).toMatchObject({ cookie: 1, error: 0 });
    await client.ended;
  });

  test('a client that breaks off in mid-write leaves the disk free', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    client.send(request({ type: WRITE, length: 1000 }), Buffer.alloc(500));
    await eventually(() => expect(server.connections()[0]!.inFlight).toBe(1));
    client.socket.destroy();
    await eventually(() => expect(n1.journal).toEqual(['open 127.0.0.1', 'close']));
    expect(events.at(-1)).toMatchObject({ step: 'detach', reason: 'lost' });
  });

  test('a client that has moved to another of its addresses has its disk there, once its earlier writes are done', async () => {
    await start({ clientAt: (address) => (address === '127.0.0.2' ? '127.0.0.1' : address) });
    const [first, stranger] = [
      await RawClient.attach(server.port, 'n1'),
      await RawClient.attach(server.port, 'base:b', '127.0.0.3'),
    ];
    const slow = gate();
    n1.gates.write = slow.wait;
    first.send(request({ type: WRITE, payload: Buffer.from('x'), cookie: 9 }));
    await eventually(() => expect(server.connections()[0]!.inFlight).toBe(1));
    server.follow('127.0.0.2');
    slow.open();
    await first.ended;
    const moved = await RawClient.attach(server.port, 'n1', '127.0.0.2');
    server.follow('127.0.0.2');
    expect(n1.journal).toEqual(['open 127.0.0.1', 'write 0 1', 'close', 'open 127.0.0.2']);
    expect(server.stats()).toMatchObject({ 'detached.moved': 1 });
    moved.send(request({ type: READ, length: 1 }));
    expect((await moved.reply(1)).data.toString()).toBe('x');
    // The power is cut, and its firmware has it at the first address again: nobody tells the server.
    const again = await RawClient.attach(server.port, 'n1');
    await moved.ended;
    again.send(request({ type: READ, length: 1 }));
    expect((await again.reply(1)).data.toString()).toBe('x');
    stranger.send(request({ type: READ, length: 4 }));
    expect((await stranger.reply(4)).data).toEqual(Buffer.alloc(4));
  });

  test('the same client again takes over, after its earlier writes are done', async () => {
    const first = await RawClient.attach(server.port, 'n1');
    const slow = gate();
    n1.gates.write = slow.wait;
    first.send(request({ type: WRITE, payload: Buffer.from('x'), cookie: 9 }));
    await eventually(() => expect(server.connections()[0]!.inFlight).toBe(1));
    const second = RawClient.attach(server.port, 'n1');
    await eventually(() => expect(server.connections()).toHaveLength(2));
    slow.open();
    // The flush of the earlier connection's disk is not waited for.
    const flushing = gate();
    n1.gates.close = flushing.wait;
    const client = await second;
    await first.ended;
    expect(n1.journal).toEqual(['open 127.0.0.1', 'write 0 1', 'close', 'open 127.0.0.1']);
    expect(events.map(({ step, reason }) => [step, reason])).toEqual([
      ['attach', undefined],
      ['detach', 'takeover'],
      ['attach', undefined],
    ]);
    client.send(request({ type: READ, length: 1 }));
    expect((await client.reply(1)).data.toString()).toBe('x');
    flushing.open();
  });

  test('who was ended by whose comeback is in the journal, and the first of them in the log', async () => {
    const warn = vi.fn();
    await start({
      clientAt: (address) => (address === '127.0.0.2' ? '127.0.0.1' : address),
      log: { warn } as unknown as Logger,
    });
    const comeback = async (from: string): Promise<number> => {
      const client = await RawClient.attach(server.port, 'n1', from);
      client.send(request({ type: READ, length: 1 }));
      await client.reply(1);
      return client.socket.localPort!;
    };
    const [one, two, three] = [
      await comeback('127.0.0.1'),
      await comeback('127.0.0.2'),
      await comeback('127.0.0.2'),
    ];
    expect(events.filter(({ step }) => step === 'detach')).toMatchObject([
      {
        ...{ address: '127.0.0.1', reason: 'takeover' },
        detail: { export: 'n1', port: one, by: `127.0.0.2 port ${two}` },
      },
      {
        ...{ address: '127.0.0.2', reason: 'takeover' },
        detail: { export: 'n1', port: two, by: `127.0.0.2 port ${three}` },
      },
    ]);
    expect(server.stats()['detached.takeover']).toBe(2);
    expect(warn.mock.calls).toMatchObject([
      [
        {
          ...{ key: 'detached.takeover', address: '127.0.0.1', port: one, export: 'n1' },
          message: `127.0.0.2 port ${two}, a comeback of the same client, has taken the export over`,
        },
        expect.stringContaining('detached.takeover'),
      ],
    ]);
  });

  test('several connections of one client that are opened before they are used share its disk', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.attach(server.port, 'n1')));
    expect(server.connections()).toHaveLength(8);
    expect(n1.journal).toEqual(['open 127.0.0.1']);
    clients[3]!.send(request({ type: WRITE, offset: 5, payload: Buffer.from('shared') }));
    expect((await clients[3]!.reply()).error).toBe(0);
    clients[6]!.send(request({ type: READ, offset: 5, length: 6 }));
    expect((await clients[6]!.reply(6)).data.toString()).toBe('shared');
    for (const [i, client] of clients.entries()) {
      client.send(request({ type: DISC }));
      await client.ended;
      expect(n1.journal.includes('close')).toBe(i === 7);
    }
  });

  test('a comeback takes over from all of them, once one was used; its earlier requests are done or never', async () => {
    const clients = [await RawClient.attach(server.port, 'n1'), await RawClient.attach(server.port, 'n1')];
    const slow = gate();
    n1.gates.write = slow.wait;
    clients[1]!.send(request({ type: WRITE, payload: Buffer.from('old'), cookie: 1 }));
    await eventually(() => expect(n1.writes).toBe(1));
    const back = RawClient.attach(server.port, 'n1');
    await eventually(() => expect(server.stats()['detached.takeover']).toBe(1));
    // Sent again by its client meanwhile, so that it must not be taken here.
    clients[0]!.send(request({ type: WRITE, payload: Buffer.from('late'), cookie: 2 }));
    slow.open();
    const client = await back;
    await Promise.all(clients.map(({ ended }) => ended));
    expect(n1.journal).toEqual(['open 127.0.0.1', 'write 0 3', 'close', 'open 127.0.0.1']);
    expect(server.stats()['detached.takeover']).toBe(2);
    client.send(request({ type: READ, length: 4 }));
    expect((await client.reply(4)).data.toString()).toBe('old\0');
  });

  test('also where the one that was used is gone already, and where none was used for a while', async () => {
    let now = 0;
    await start({ clock: { now: () => now } });
    const [used, unused] = [
      await RawClient.attach(server.port, 'n1'),
      await RawClient.attach(server.port, 'n1'),
    ];
    used.send(request({ type: READ, length: 1 }), request({ type: DISC }));
    await used.ended;
    await eventually(() => expect(server.connections()).toHaveLength(1));
    const idle = await RawClient.attach(server.port, 'n1');
    await unused.ended;
    now = 6_000;
    await RawClient.attach(server.port, 'n1');
    await idle.ended;
    expect(server.stats()['detached.takeover']).toBe(2);
  });

  test('another client is refused while one has the disk, and told so', async () => {
    const first = await RawClient.attach(server.port, 'n1');
    await expect(RawClient.attach(server.port, 'n1', '127.0.0.2')).rejects.toThrow('disk "n1" is in use');
    expect(events.at(-1)).toMatchObject({ step: 'refused', address: '127.0.0.2', reason: 'busy' });
    // A base has room for all.
    const readers = [
      await RawClient.attach(server.port, 'base:b'),
      await RawClient.attach(server.port, 'base:b'),
    ];
    first.send(request({ type: DISC }));
    await first.ended;
    await RawClient.attach(server.port, 'n1', '127.0.0.2');
    expect(readers).toHaveLength(2);
  });

  test('a client that leaves while its disk is being opened leaves it closed', async () => {
    const opening = gate();
    catalog.openGate = opening.wait;
    const client = await RawClient.open(server.port);
    client.send(CLIENT_FLAGS, option(7, infoRequest('n1')));
    await client.take(18);
    await new Promise((resolve) => client.socket.write(Buffer.alloc(0), resolve));
    client.socket.destroy();
    await client.ended;
    await new Promise((resolve) => setTimeout(resolve, 20));
    opening.open();
    await eventually(() => expect(n1.journal).toEqual(['open 127.0.0.1', 'close']));
    expect(events).toEqual([]);
  });

  test('close answers what is under way, closes the disks, and refuses newcomers', async () => {
    const client = await RawClient.attach(server.port, 'n1');
    const idle = await RawClient.open(server.port);
    const slow = gate();
    n1.gates.write = slow.wait;
    client.send(request({ type: WRITE, payload: Buffer.from('x'), cookie: 5 }));
    await eventually(() => expect(server.connections().some(({ inFlight }) => inFlight === 1)).toBe(true));
    const { port } = server;
    const closing = server.close();
    slow.open();
    expect((await client.reply()).cookie).toBe(5);
    await client.ended;
    await idle.ended;
    await closing;
    expect(n1.journal).toEqual(['open 127.0.0.1', 'write 0 1', 'close']);
    expect(events.at(-1)).toMatchObject({ step: 'detach', reason: 'shutdown' });
    await expect(RawClient.open(port)).rejects.toThrow(/ECONNREFUSED/);
    await start();
  });
});

test('a client that reset its connection before it was taken is nobody', async () => {
  resetUnseen(server.port);
  await eventually(() => expect(server.stats()['dropped.gone']).toBe(1));
  expect(events).toEqual([]);
});
