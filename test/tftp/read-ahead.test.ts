/** What follows in the file is read while the socket answers by itself. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { systemClock } from '../../imager/journal/clock.ts';
import { Tally } from '../../imager/journal/tally.ts';
import { Chunks } from '../../imager/tftp/chunks.ts';
import { Session } from '../../imager/tftp/session.ts';
import { openNative } from '../../imager/udp/native.ts';

const BLKSIZE = 512;
const HALF = 16;

test('the next half is read before the client has the end of this one', async () => {
  const client = createSocket('udp4').bind(0, '127.0.0.1');
  await once(client, 'listening');
  const { port } = client.address();
  let fills = 0;
  const session = new Session({
    socket: await openNative({ address: '127.0.0.1', port: 0 })!,
    client: { address: '127.0.0.1', port },
    file: { size: 100 * HALF * BLKSIZE, read: async () => 0, close: async () => {} },
    chunks: (length) =>
      new Chunks().open('file', length, {
        fill: async (chunk) => {
          fills++;
          return chunk.length;
        },
      }),
    agreement: { blksize: BLKSIZE, windowsize: 1, timeoutMs: undefined, reply: new Map() },
    readAhead: 2 * HALF * BLKSIZE,
    clock: systemClock,
    tally: new Tally(pino({ level: 'silent' })),
  });
  const fillsByThen = await new Promise<number>((resolve) =>
    client.on('message', (bytes, from) => {
      const block = bytes.readUInt16BE(2);
      if (block === 2 * HALF - 1) resolve(fills);
      else client.send(Buffer.from([0, 4, 0, block]), from.port, from.address);
    }),
  );
  expect(fillsByThen).toBe(3);
  session.stop('shutdown', 'enough');
  await session.ended;
  client.close();
});
