/** Structured replies, metadata contexts, CACHE and fast zeroes, through a server. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DiskError } from '../../imager/disks/disk.ts';
import { NbdServer } from '../../imager/nbd/server.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryCatalog, MemoryDisk } from './memory-catalog.ts';
import {
  CACHE,
  CLIENT_FLAGS,
  contextRequest,
  DISC,
  FLUSH,
  infoRequest,
  option,
  RawClient,
  READ,
  request,
  STATUS,
  WRITE,
  ZEROES,
} from './raw-client.ts';

const SIZE = 2 ** 20;
const BLOCK = 4096;
const [DF, REQ_ONE, FAST_ZERO] = [4, 8, 16];
const [DATA, HOLE, BLOCK_STATUS, ERROR, ERROR_OFFSET] = [1, 2, 5, 0x8001, 0x8002];
let n1: MemoryDisk;
let n2: MemoryDisk;
let server: NbdServer;

beforeEach(async () => {
  n1 = new MemoryDisk('n1', SIZE);
  n2 = new MemoryDisk('n2', SIZE, true);
  n1.content.fill('data', 2 * BLOCK, 3 * BLOCK);
  server = await NbdServer.start({
    ...{ address: '127.0.0.1', port: 0, catalog: new MemoryCatalog([n1, n2]) },
    ...{ sink: () => {}, clock: { now: () => 0 }, log: pino({ level: 'silent' }) },
  });
});

afterEach(() => server.close());

/** Runs of a BLOCK_STATUS chunk, with its context. */
function statuses(payload: Buffer): number[] {
  return Array.from({ length: payload.length / 4 }, (_, i) => payload.readUInt32BE(4 * i));
}

test('a read of holes and data: a chunk each, nothing sent for holes', async () => {
  const client = await RawClient.attachStructured(server.port, 'n1');
  client.send(request({ type: READ, offset: 100, length: 4 * BLOCK, cookie: 5 }));
  const first = await client.chunk();
  expect(first).toMatchObject({ type: HOLE, done: false, cookie: 5 });
  expect(first.payload.toString('hex')).toBe('000000000000006400001f9c');
  const second = await client.chunk();
  expect(second).toMatchObject({ type: DATA, done: false });
  expect(second.payload.readBigUInt64BE(0)).toBe(8192n);
  // The block, whole, and what is no hole of a block's length behind it.
  expect(second.payload.subarray(8)).toEqual(n1.content.subarray(2 * BLOCK, 3 * BLOCK));
  expect(await client.chunk()).toMatchObject({ type: HOLE, done: true });
});

test('not to be fragmented: one chunk, zeroes and all', async () => {
  const client = await RawClient.attachStructured(server.port, 'n1');
  client.send(request({ type: READ, offset: 0, length: 5 * BLOCK, flags: DF }));
  const { type, done, payload } = await client.chunk();
  expect([type, done]).toEqual([DATA, true]);
  expect(payload.subarray(8)).toEqual(n1.content.subarray(0, 5 * BLOCK));
});

test('errors have words, and the byte where that is known; what is no read is told briefly where it goes well', async () => {
  const client = await RawClient.attachStructured(server.port, 'n1');
  client.send(request({ type: READ, offset: SIZE - 1, length: 2, cookie: 1 }));
  const range = await client.chunk();
  expect(range).toMatchObject({ type: ERROR_OFFSET, done: true, cookie: 1 });
  expect(range.payload.toString('latin1', 6, range.payload.length - 8)).toBe('the disk ends at byte 1048576');
  expect(range.payload.subarray(-8).readBigUInt64BE(0)).toBe(BigInt(SIZE));
  client.send(request({ type: READ, length: 33 * 2 ** 20 }));
  expect((await client.chunk()).payload.readUInt32BE(0)).toBe(75);
  client.send(request({ type: WRITE, offset: SIZE, payload: Buffer.alloc(3) }));
  expect((await client.chunk()).payload.readUInt32BE(0)).toBe(28);
  n1.failure = new DiskError('EIO', 'the drive is on fire');
  client.send(request({ type: READ, offset: 0, length: 5 * BLOCK }));
  const failed = await client.chunk();
  expect(failed).toMatchObject({ type: ERROR_OFFSET, done: true });
  expect(failed.payload.subarray(-8).readBigUInt64BE(0)).toBe(BigInt(2 * BLOCK));
  client.send(request({ type: FLUSH }));
  const flush = await client.chunk();
  expect(flush.type).toBe(ERROR);
  expect(flush.payload.toString('latin1', 6)).toBe('the drive is on fire');
  n1.failure = undefined;
  client.send(request({ type: FLUSH, cookie: 9 }), request({ type: READ, length: 0, cookie: 10 }));
  // The read is answered at once.
  expect(await client.chunk()).toEqual({ type: 0, done: true, cookie: 10, payload: Buffer.alloc(0) });
  expect(await client.reply()).toMatchObject({ cookie: 9, error: 0 });
});

test('block status: a chunk a context, as they were chosen for this export', async () => {
  const client = await RawClient.attachStructured(server.port, 'n1', 'base:allocation', 'x-bootwright:dirty');
  client.send(request({ type: WRITE, offset: 3 * BLOCK, payload: Buffer.alloc(BLOCK, 1) }));
  await client.reply();
  client.send(request({ type: STATUS, offset: BLOCK, length: 5 * BLOCK }));
  const allocation = await client.chunk();
  expect(allocation).toMatchObject({ type: BLOCK_STATUS, done: false });
  expect(statuses(allocation.payload)).toEqual([1, BLOCK, 3, 2 * BLOCK, 0, 2 * BLOCK, 3]);
  const dirty = await client.chunk();
  expect(dirty.done).toBe(true);
  expect(statuses(dirty.payload)).toEqual([2, 2 * BLOCK, 0, BLOCK, 1, 2 * BLOCK, 0]);
  client.send(request({ type: STATUS, offset: 10, length: 20, flags: REQ_ONE }));
  expect(statuses((await client.chunk()).payload)).toEqual([1, 20, 3]);
  expect(statuses((await client.chunk()).payload)).toEqual([2, 20, 0]);
});

test('contexts chosen for another export, lost to a failed choice or to none, are none', async () => {
  for (const choices of [
    [contextRequest('n2', ['base:allocation'])],
    [contextRequest('n1', ['base:allocation']), contextRequest('nobody', ['base:allocation'])],
    [contextRequest('n1', ['base:allocation']), Buffer.alloc(3)],
    [contextRequest('n1', ['base:allocation']), contextRequest('n1', [])],
  ]) {
    const client = await RawClient.open(server.port);
    await client.take(18);
    const options = [option(8), ...choices.map((data) => option(10, data)), option(7, infoRequest('n1'))];
    client.send(CLIENT_FLAGS, ...options);
    for (const _ of options) await client.optionReplies();
    client.send(request({ type: STATUS, length: BLOCK }));
    expect((await client.chunk()).payload.readUInt32BE(0)).toBe(22);
    client.socket.destroy();
    await client.ended;
  }
  expect(server.stats()['refused.command']).toBe(4);
});

test('CACHE ends with its client', async () => {
  const client = await RawClient.attachStructured(server.port, 'n1');
  n1.content.fill(1);
  let goOn = (): void => {};
  n1.gates.read = new Promise((resolve) => {
    goOn = resolve;
  });
  client.send(request({ type: CACHE, length: SIZE }));
  await eventually(() => expect(n1.bytesRead).toBe(SIZE / 2));
  client.send(request({ type: DISC }));
  await eventually(() => expect(server.connections()[0]?.requests).toBe(2));
  goOn();
  await client.ended;
  expect(n1.bytesRead).toBe(SIZE / 2);
});

test('CACHE reads data and leaves out holes', async () => {
  const client = await RawClient.attachStructured(server.port, 'n1');
  n1.content.fill(1, SIZE / 2);
  client.send(request({ type: CACHE, length: SIZE, cookie: 3 }));
  expect(await client.reply()).toMatchObject({ cookie: 3, error: 0 });
  expect(n1.bytesRead).toBe(BLOCK + SIZE / 2);
  n1.failure = new DiskError('EIO', 'broken');
  client.send(request({ type: CACHE, length: SIZE }));
  expect((await client.chunk()).type).toBe(ERROR);
});

test('zeroes that must be fast are, or are refused with nothing changed', async () => {
  const client = await RawClient.attachStructured(server.port, 'n1');
  client.send(request({ type: ZEROES, offset: 2 * BLOCK + 1, length: BLOCK - 1, flags: FAST_ZERO }));
  expect((await client.chunk()).payload.readUInt32BE(0)).toBe(95);
  expect(n1.journal).toEqual(['open 127.0.0.1']);
  client.send(request({ type: ZEROES, offset: 2 * BLOCK, length: BLOCK, flags: FAST_ZERO | 1 }));
  expect((await client.reply()).error).toBe(0);
  expect(n1.journal.slice(1)).toEqual([`zeroes ${2 * BLOCK} ${BLOCK} true`, 'flush']);
});

test('a disk that grew has its new size for whoever asks, and for requests at once', async () => {
  const grows = new MemoryDisk('grows', 2 * SIZE);
  grows.size = SIZE;
  await server.close();
  server = await NbdServer.start({
    ...{ address: '127.0.0.1', port: 0, catalog: new MemoryCatalog([grows]) },
    ...{ sink: () => {}, clock: { now: () => 0 }, log: pino({ level: 'silent' }) },
  });
  const client = await RawClient.attachStructured(server.port, 'grows');
  client.send(request({ type: READ, offset: SIZE, length: 1 }));
  expect((await client.chunk()).payload.readUInt32BE(0)).toBe(22);
  grows.size = 2 * SIZE;
  client.send(request({ type: ZEROES, offset: SIZE, length: BLOCK }));
  expect((await client.reply()).error).toBe(0);
  const again = await RawClient.open(server.port);
  await again.take(18);
  again.send(CLIENT_FLAGS, option(6, infoRequest('grows')));
  expect((await again.optionReplies())[0]!.data.readBigUInt64BE(2)).toBe(BigInt(2 * SIZE));
});
