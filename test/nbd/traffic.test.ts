/** What all connections together have moved, as /metrics has it. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DiskError } from '../../imager/disks/disk.ts';
import { NbdServer } from '../../imager/nbd/server.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryCatalog, MemoryDisk } from './memory-catalog.ts';
import { DISC, FLUSH, RawClient, READ, request, WRITE } from './raw-client.ts';

const SIZE = 2 ** 20;
const NOTHING = {
  requests: 0,
  'requests.failed': 0,
  'requests.refused': 0,
  'read.bytes': 0,
  'written.bytes': 0,
};
let n1: MemoryDisk;
let server: NbdServer;

beforeEach(async () => {
  n1 = new MemoryDisk('n1', SIZE);
  server = await NbdServer.start({
    ...{ address: '127.0.0.1', port: 0, catalog: new MemoryCatalog([n1, new MemoryDisk('b', SIZE, true)]) },
    ...{ sink: () => {}, clock: { now: () => 0 }, log: pino({ level: 'silent' }) },
  });
});

afterEach(() => server.close());

test('requests and bytes of those that are there and of those that have gone', async () => {
  expect(server.stats()).toMatchObject(NOTHING);
  const [node, reader] = [
    await RawClient.attach(server.port, 'n1'),
    await RawClient.attach(server.port, 'b'),
  ];
  for (const [type, length] of [
    [READ, 5000],
    [READ, 3],
    [FLUSH, 0],
  ] as const) {
    node.send(request({ type, length }));
    await node.reply(length);
  }
  node.send(request({ type: WRITE, payload: Buffer.alloc(700) }));
  await node.reply();
  reader.send(request({ type: READ, length: 40_000 }));
  await reader.reply(40_000);
  const all = { ...NOTHING, requests: 5, 'read.bytes': 45_003, 'written.bytes': 700 };
  expect(server.stats()).toMatchObject(all);
  reader.send(request({ type: DISC }));
  await reader.ended;
  await eventually(() => expect(server.connections()).toHaveLength(1));
  expect(server.stats()).toMatchObject({ ...all, requests: 6 });
});

test('requests that were refused, and that failed', async () => {
  const client = await RawClient.attach(server.port, 'n1');
  for (const _ of [1, 2]) {
    client.send(request({ type: READ, offset: SIZE, length: 1 }));
    expect((await client.reply()).error).toBe(22);
  }
  n1.failure = new DiskError('EIO', 'the drive is gone');
  client.send(request({ type: READ, length: 1 }));
  expect((await client.reply()).error).toBe(5);
  expect(server.stats()).toMatchObject({ requests: 3, 'requests.refused': 2, 'requests.failed': 1 });
});

test('connections that have an export, and the memory that all of them hold', async () => {
  const none = { 'connections.attached': 0, 'pending.bytes': 0 };
  expect(server.gauges()).toEqual(none);
  const client = await RawClient.attach(server.port, 'n1');
  const idle = await RawClient.open(server.port);
  await idle.take(18);
  let go = (): void => {};
  n1.gates.read = new Promise((resolve) => {
    go = resolve;
  });
  client.send(request({ type: READ, length: 5000 }));
  await eventually(() =>
    expect(server.gauges()).toEqual({ 'connections.attached': 1, 'pending.bytes': 5000 }),
  );
  go();
  await client.reply(5000);
  await eventually(() => expect(server.gauges()).toEqual({ ...none, 'connections.attached': 1 }));
  client.socket.destroy();
  await eventually(() => expect(server.gauges()).toEqual(none));
});
