/** Conversations bent out of shape: the server counts, hangs up or answers, and serves the next client as ever. */
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NbdServer } from '../../imager/nbd/server.ts';
import { eventually } from '../support/eventually.ts';
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

const SIZE = 2 ** 20;
let disk: MemoryDisk;
let server: NbdServer;
const unhandled: unknown[] = [];
const note = (error: unknown): void => {
  unhandled.push(error);
};

beforeAll(async () => {
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  disk = new MemoryDisk('n1', SIZE);
  server = await NbdServer.start({
    address: '127.0.0.1',
    port: 0,
    catalog: new MemoryCatalog([disk]),
    sink: () => {},
    clock: { now: () => 0 },
    log: pino({ level: 'silent' }),
  });
});

afterAll(async () => {
  await server.close();
  process.off('unhandledRejection', note);
  process.off('uncaughtException', note);
});

/** The parts of a good conversation. */
const HANDSHAKE = [CLIENT_FLAGS, option(3), option(6, infoRequest('n1')), option(7, infoRequest('n1'))];
const REQUESTS = [
  request({ type: READ, offset: 4096, length: 4096, cookie: 1 }),
  request({ type: WRITE, offset: 1000, payload: Buffer.alloc(5000, 1), cookie: 2, flags: 1 }),
  request({ type: TRIM, offset: 0, length: 8192 }),
  request({ type: ZEROES, offset: 12, length: 9999, flags: 2 }),
  request({ type: FLUSH }),
  request({ type: READ, offset: SIZE - 1, length: 1 }),
  request({ type: DISC }),
];

type Bend = { kind: 'flip' | 'cut' | 'insert' | 'repeat'; at: number; value: number };
const bend: fc.Arbitrary<Bend> = fc.record({
  kind: fc.constantFrom<Bend['kind']>('flip', 'flip', 'flip', 'cut', 'insert', 'repeat'),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  value: fc.integer({ min: 1, max: 255 }),
});

function bent(bytes: Buffer, { kind, at, value }: Bend): Buffer {
  const place = Math.floor(at * bytes.length);
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (kind) {
    case 'flip':
      return place < bytes.length ? Buffer.from(bytes.with(place, bytes[place]! ^ value)) : bytes;
    case 'cut':
      return Buffer.concat([before, after.subarray(value)]);
    case 'insert':
      return Buffer.concat([before, Buffer.alloc(value, value), after]);
    case 'repeat':
      return Buffer.concat([before, before.subarray(-value), after]);
  }
}

/** Says `bytes`, hears whatever comes, and leaves. */
async function say(bytes: Buffer): Promise<void> {
  const client = await RawClient.open(server.port);
  client.send(bytes);
  client.socket.end();
  await client.ended;
}

async function expectService(): Promise<void> {
  await eventually(() => expect(server.connections()).toEqual([]));
  const client = await RawClient.attach(server.port, 'n1');
  client.send(
    request({ type: WRITE, offset: 77, payload: Buffer.from('still here'), cookie: 3 }),
    request({ type: READ, offset: 77, length: 10, cookie: 4 }),
    request({ type: DISC }),
  );
  expect(await client.reply()).toMatchObject({ cookie: 3, error: 0 });
  expect((await client.reply(10)).data.toString()).toBe('still here');
  await client.ended;
  expect(unhandled).toEqual([]);
}

test('bent handshakes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(bend, { minLength: 1, maxLength: 4 }), async (bends) => {
      await say(bends.reduce(bent, Buffer.concat(HANDSHAKE)));
    }),
    { numRuns: 300 },
  );
  await expectService();
});

test('bent requests after a good handshake', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(bend, { minLength: 1, maxLength: 4 }),
      fc.shuffledSubarray(REQUESTS),
      async (bends, some) => {
        await say(Buffer.concat([...HANDSHAKE, bends.reduce(bent, Buffer.concat(some))]));
      },
    ),
    { numRuns: 300 },
  );
  await expectService();
});

test('noise', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300, size: 'max' }),
      fc.boolean(),
      async (noise, attached) => {
        await say(Buffer.concat([...(attached ? HANDSHAKE : []), noise]));
      },
    ),
    { numRuns: 150 },
  );
  await expectService();
});
