/** The event loop stays awake for the request that follows from a reply: where there is one, and else hardly. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Stream } from '../../imager/nbd/stream.ts';
import { awakeCounts, takeOver } from '../../imager/nbd/stream-native.ts';

/** Answers each byte with one where it is to, else it takes nothing. */
const CLIENT = `
  const socket = require('node:net').connect(Number(process.argv[1]), '127.0.0.1');
  if (process.argv[2] === 'answers') socket.setNoDelay(true).on('data', (bytes) => socket.write(bytes));
`;

let server: Server;
let client: ChildProcess;
let stream: Stream;

async function begin(kind: 'answers' | 'is silent', receive: (bytes: Buffer) => void): Promise<void> {
  server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  client = spawn(process.execPath, ['-e', CLIENT, `${port}`, kind], { stdio: 'ignore' });
  stream = takeOver((await accepted)[0])!;
  stream.listen({ receive, drained: () => {}, ended: () => {}, closed: () => {} });
}

let before: ReturnType<typeof awakeCounts>;
beforeEach(() => {
  before = awakeCounts();
});
afterEach(async () => {
  stream.destroy();
  client.kill('SIGKILL');
  await new Promise((resolve) => server.close(resolve));
});

function since(key: keyof typeof before): number {
  return awakeCounts()[key] - before[key];
}

// First: a loop that has looked in vain before looks less often.
test('where nothing follows from what was sent, it is looked for less and less', async () => {
  await begin('is silent', () => {});
  for (let i = 0; i < 100; i++) {
    stream.send(Buffer.from('.'), () => {});
    // A wait for more than a millisecond, which the loop looks into.
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  // After n looks in vain it passes 2^(n - 1) - 1 waits over; something else may come meanwhile now and then.
  expect(since('awake.vain')).toBeGreaterThan(0);
  expect(since('awake.vain')).toBeLessThan(20);
});

test('what a client sends after each reply finds the loop awake', async () => {
  let bytes = 0;
  await begin('answers', (chunk) => {
    bytes += chunk.length;
    stream.send(Buffer.from(chunk), () => {});
  });
  stream.send(Buffer.from('.'), () => {});
  await vi.waitFor(() => expect(since('awake.came')).toBeGreaterThan(20), { timeout: 20_000 });
  expect(bytes).toBeGreaterThan(20);
});
