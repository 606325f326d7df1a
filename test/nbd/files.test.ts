/** READs of disks that have parts of their bytes in files: what is sent from there, and what is not. */
import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SystemFile } from '../../imager/disks/block-file.ts';
import { Disks } from '../../imager/disks/catalog.ts';
import { DiskError, type FilePart } from '../../imager/disks/disk.ts';
import { BufferPool } from '../../imager/nbd/buffer-pool.ts';
import { NbdServer } from '../../imager/nbd/server.ts';
import { takeOver } from '../../imager/nbd/stream-native.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryCatalog, MemoryDisk } from './memory-catalog.ts';
import { RawClient, READ, request, WRITE } from './raw-client.ts';

// Whatever the machine has its connections paced by.
vi.mock('../../imager/nbd/pacing.ts', () => ({ isPaced: () => false }));

const KIB = 1024;
const SIZE = 4096 * KIB;
/** Parts in files begin each so many bytes, and are as long as the next figure. */
const [EACH, IN_FILE] = [512 * KIB, 300 * KIB];
const DF = 4;
/** Not so where this file is run once more on Node's own sockets (plain.test.ts). */
const native = !vi.isMockFunction(takeOver);

let dir: string;
let fd: number;
let n1: MemoryDisk;
let server: NbdServer;
/** Bytes that were asked to be sent from the file. */
let lent: number;
/** Bytes that were read of the file as what did not leave at once. */
let reread: number;
/** Bytes of parts that came from the file in either way: which one, the system's room for what is sent decides. */
let fromFile: number;

/** Where the parts of the disk are in the file, that has other bytes between them. */
const inFile = (offset: number): number => offset + 1234;

function partAt(offset: number, length: number): FilePart {
  let used = false;
  const use = (): void => {
    if (!used) fromFile += length;
    used = true;
  };
  return {
    ...{ offset, length },
    lend(send) {
      use();
      lent += length;
      return send(fd, inFile(offset));
    },
    readNow(target, from) {
      use();
      reread += target.length;
      if (readSync(fd, target, 0, target.length, inFile(offset + from)) < target.length)
        throw new DiskError('EIO', 'the file is too short');
    },
  };
}

function fileParts(offset: number, length: number, least: number): FilePart[] {
  const parts: FilePart[] = [];
  for (let start = 0; start < SIZE; start += EACH) {
    const from = Math.max(offset, start);
    const end = Math.min(offset + length, start + IN_FILE);
    if (end - from >= least) parts.push(partAt(from, end - from));
  }
  return parts;
}

beforeEach(async () => {
  [lent, reread, fromFile] = [0, 0, 0];
  n1 = new MemoryDisk('n1', SIZE);
  for (let at = 0; at < SIZE; at += 4) n1.content.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  // Two holes, one where the file is, one where it is not.
  n1.content.fill(0, 64 * KIB, 128 * KIB);
  n1.content.fill(0, EACH + 400 * KIB, EACH + 404 * KIB);
  dir = mkdtempSync(join(tmpdir(), 'nbd-files-'));
  const bytes = Buffer.alloc(inFile(SIZE), 0xee);
  for (let start = 0; start < SIZE; start += EACH)
    n1.content.copy(bytes, inFile(start), start, start + IN_FILE);
  writeFileSync(join(dir, 'file'), bytes);
  fd = openSync(join(dir, 'file'), 'r+');
  n1.fileParts = fileParts;
  server = await NbdServer.start({
    ...{ address: '127.0.0.1', port: 0, catalog: new MemoryCatalog([n1]) },
    ...{ sink: () => {}, clock: { now: () => 0 }, log: pino({ level: 'silent' }) },
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
  closeSync(fd);
  rmSync(dir, { recursive: true });
});

/** Ranges with parts in files at their beginning, in their midst, at their end; several; none that are worth it. */
const RANGES = [
  [0, 256 * KIB],
  [1, 200 * KIB + 77],
  [200 * KIB, 400 * KIB],
  [EACH - 100 * KIB, 256 * KIB],
  [100, 3 * EACH - 5000],
  [EACH + 250 * KIB, 100 * KIB],
  [IN_FILE, 100 * KIB],
  [4 * EACH, 64 * KIB],
  [4 * EACH + 10, 64 * KIB - 1],
] as const;

test.each(RANGES)('simple replies: %d, %d bytes', async (offset, length) => {
  const client = await RawClient.attach(server.port, 'n1');
  client.send(
    request({ type: READ, length: 3, cookie: 1 }),
    request({ type: READ, offset, length, cookie: 2 }),
    request({ type: READ, length: 3, cookie: 3 }),
  );
  // In whatever order, each is whole.
  for (let replies = 0; replies < 3; replies++) {
    const head = await client.take(16);
    const [from, long] = head.readUInt32BE(12) === 2 ? [offset, length] : [0, 3];
    expect(head.readBigUInt64BE(0)).toBe(0x67446698_00000000n);
    expect((await client.take(long)).equals(n1.content.subarray(from, from + long))).toBe(true);
  }
  const left = native ? fileParts(offset, length, 64 * KIB).reduce((sum, part) => sum + part.length, 0) : 0;
  expect(fromFile).toBe(left);
  expect(lent > 0).toBe(left > 0);
  expect(n1.bytesRead).toBe(length - left + 6);
});

test.each(RANGES)(
  'structured replies, in pieces and not to be fragmented: %d, %d bytes',
  async (offset, length) => {
    const client = await RawClient.attachStructured(server.port, 'n1');
    for (const flags of [0, DF]) {
      client.send(request({ type: READ, offset, length, flags, cookie: 8 }));
      const answer = Buffer.alloc(length);
      let chunks = 0;
      for (let done = false; !done; chunks++) {
        const chunk = await client.chunk();
        expect([1, 2]).toContain(chunk.type);
        const start = Number(chunk.payload.readBigUInt64BE(0)) - offset;
        if (chunk.type === 1) chunk.payload.copy(answer, start, 8);
        done = chunk.done;
      }
      expect(answer.equals(n1.content.subarray(offset, offset + length))).toBe(true);
      if (flags === DF) expect(chunks).toBe(1);
    }
    expect(lent > 0).toBe(native && fileParts(offset, length, 64 * KIB).length > 0);
  },
);

test('a client that is slow to take its replies gets all of them whole, and holds little memory', async () => {
  const client = await RawClient.attach(server.port, 'n1');
  client.socket.pause();
  const offset = (cookie: number): number => (cookie % 8) * EACH + cookie;
  for (let cookie = 0; cookie < 200; cookie++)
    client.send(request({ type: READ, offset: offset(cookie), length: 256 * KIB, cookie }));
  await eventually(() => expect(server.connections()[0]!.requests).toBeGreaterThan(2));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(server.connections()[0]!.requests).toBeLessThan(100);
  expect(reread).toBeLessThanOrEqual(512 * KIB);
  client.socket.resume();
  for (let cookie = 0; cookie < 200; cookie++) {
    const reply = await client.reply(256 * KIB);
    const from = offset(reply.cookie);
    expect(reply.data.equals(n1.content.subarray(from, from + 256 * KIB))).toBe(true);
  }
  expect(lent > 0).toBe(native);
});

// What is read in memory has its own error: test/nbd/structured.test.ts.
if (native)
  test('a file that is too short all at once ends the connection: never are wrong bytes sent', async () => {
    const [take, giveBack] = [
      vi.spyOn(BufferPool.prototype, 'take'),
      vi.spyOn(BufferPool.prototype, 'giveBack'),
    ];
    const client = await RawClient.attach(server.port, 'n1');
    const came: Buffer[] = [];
    ftruncateSync(fd, inFile(EACH + 100 * KIB));
    client.send(request({ type: READ, offset: EACH - 200 * KIB, length: 400 * KIB }));
    client.socket.on('data', (chunk) => came.push(chunk));
    await client.ended;
    const data = Buffer.concat(came).subarray(16);
    expect(data.length).toBeLessThanOrEqual(300 * KIB);
    expect(data.equals(n1.content.subarray(EACH - 200 * KIB, EACH - 200 * KIB + data.length))).toBe(true);
    expect(server.stats()['failed.EIO']).toBe(1);
    await eventually(() => expect(server.connections()).toHaveLength(0));
    expect(take.mock.calls.length).toBeGreaterThan(0);
    expect(giveBack).toHaveBeenCalledTimes(take.mock.calls.length);
    // The others do not suffer from it.
    const other = await RawClient.attach(server.port, 'n1');
    other.send(request({ type: READ, length: 256 * KIB }));
    expect((await other.reply(256 * KIB)).data.equals(n1.content.subarray(0, 256 * KIB))).toBe(true);
  });

test('a disk that can tell neither its parts in files nor its extents says so to its client', async () => {
  const broken = (): never => {
    throw new DiskError('EIO', 'the map is damaged');
  };
  n1.fileParts = broken;
  const client = await RawClient.attach(server.port, 'n1');
  client.send(request({ type: READ, length: 256 * KIB, cookie: 1 }));
  expect(await client.reply(256 * KIB)).toMatchObject({ cookie: 1, error: native ? 5 : 0 });
  vi.spyOn(n1, 'extents').mockImplementation(broken);
  const structured = await RawClient.attachStructured(server.port, 'n1', 'base:allocation');
  for (const type of [READ, 7]) {
    structured.send(request({ type, length: 4096 }));
    const { payload } = await structured.chunk();
    expect([payload.readUInt32BE(0), payload.toString('latin1', 6)]).toEqual([5, 'the map is damaged']);
  }
});

test('an overlay over a base, some blocks of which are its own', async () => {
  const image = randomBytes(SIZE + 1000);
  writeFileSync(join(dir, 'image'), image);
  const disks = await Disks.open({ dir: join(dir, 'store'), log: pino({ level: 'silent' }) });
  await disks.addBase('b', join(dir, 'image'));
  await disks.create('n2', 'b');
  const lending = vi.spyOn(SystemFile.prototype, 'part');
  // However busy the drive is, no call takes long.
  vi.spyOn(performance, 'now').mockReturnValue(1000);
  const other = await NbdServer.start({
    ...{ address: '127.0.0.1', port: 0, catalog: disks },
    ...{ sink: () => {}, clock: { now: () => 0 }, log: pino({ level: 'silent' }) },
  });
  const client = await RawClient.attach(other.port, 'n2');
  for (const block of [0, 17, 100, 101, 300, 511, 512]) {
    const payload = randomBytes(5000);
    image.set(payload, block * 4096 + 30);
    client.send(request({ type: WRITE, offset: block * 4096 + 30, payload }));
    expect((await client.reply()).error).toBe(0);
  }
  const structured = await RawClient.attachStructured(other.port, 'base:b');
  for (let at = 0; at < image.length; at += 200 * KIB) {
    const length = Math.min(256 * KIB, image.length - at);
    client.send(request({ type: READ, offset: at, length }));
    expect((await client.reply(length)).data.equals(image.subarray(at, at + length))).toBe(true);
    structured.send(request({ type: READ, offset: at, length, flags: DF }));
    expect((await structured.chunk()).payload.length).toBe(8 + length);
  }
  const parts = lending.mock.results.filter(({ value }) => value !== undefined).length;
  expect(parts > 20).toBe(native);
  await other.close();
  await disks.close();
});
