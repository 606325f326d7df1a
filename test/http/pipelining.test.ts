/** Requests sent before earlier ones are answered: how many are taken, and what is left of them when the client goes. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MAX_UNANSWERED } from '../../imager/http/pipelining.ts';
import type { ReadModel } from '../../imager/http/read-model.ts';
import { HttpServer } from '../../imager/http/server.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';

const BIG = 100_000_000;
const SMALL = 1000;

let server: HttpServer;
let socket: Socket;
let events: BootEvent[];
let logged: string[];
let opened: number;
let watchers: number;

beforeEach(async () => {
  [events, logged, opened, watchers] = [[], [], 0, 0];
  server = await HttpServer.start({
    address: '127.0.0.1',
    port: 0,
    files: {
      open: async (path) => {
        opened++;
        return {
          size: path === 'big' ? BIG : SMALL,
          read: async (target) => target.fill(0).length,
          close: async () => void opened--,
        };
      },
    },
    model: {
      nodes: () => [],
      boots: () => ({
        view: Promise.resolve({ who: 'n1', node: 'n1', attempts: [] }),
        watch: () => {
          watchers++;
          return () => watchers--;
        },
      }),
      stats: () => ({}),
      gauges: () => ({}),
      watch: () => {},
    } as unknown as ReadModel,
    sink: (event) => void events.push(event),
    clock: systemClock,
    log: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }),
  });
  socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
});
afterEach(async () => {
  socket.destroy();
  await server.close();
});

const asked = (path: string, count: number) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(count);
const count = (step: string) => events.filter((event) => event.step === step).length;

test('a client that reads nothing has a few files open, and none once it has gone', async () => {
  socket.pause();
  socket.write(asked('/big', MAX_UNANSWERED));
  await expect.poll(() => count('transfer-start')).toBe(MAX_UNANSWERED);
  expect(opened).toBe(MAX_UNANSWERED);
  socket.destroy();
  await expect.poll(() => opened).toBe(0);
  await expect.poll(() => count('transfer-failed')).toBe(MAX_UNANSWERED);
  expect(server.stats()).toMatchObject({ 'failed.client-gone': MAX_UNANSWERED });
});

test('a client that leaves while the files it asked for are being opened leaves none open', async () => {
  socket.write(asked('/big', MAX_UNANSWERED), () => socket.resetAndDestroy());
  await expect.poll(() => count('transfer-failed')).toBe(MAX_UNANSWERED);
  await expect.poll(() => opened).toBe(0);
});

test('streams of a connection end with it, those that were never sent as well', async () => {
  socket.write(asked('/api/boots/n1/stream', MAX_UNANSWERED));
  await expect.poll(() => watchers).toBe(MAX_UNANSWERED);
  socket.destroy();
  await expect.poll(() => watchers).toBe(0);
});

test.each([
  ['of files', '/big'],
  ['that cannot be read', '/%zz'],
])('a flood of requests %s in one packet ends the connection, and is counted once', async (_, path) => {
  socket.write(asked(path, 500));
  await once(socket.resume(), 'close');
  await expect.poll(() => opened).toBe(0);
  expect(events.length).toBeLessThanOrEqual(2 * MAX_UNANSWERED);
  expect(count('transfer-failed')).toBe(count('transfer-start'));
  expect(server.stats()).toMatchObject({ 'dropped.too-many-unanswered': 1 });
  expect(logged.filter((line) => line.includes('too-many-unanswered'))).toHaveLength(1);
  expect(logged.join()).toContain('"address":"127.0.0.1"');
});

test('so many together are answered in order, and as often as a client likes one after another', async () => {
  let text = '';
  const answers = () => text.split('HTTP/1.1 200 ').length - 1;
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  for (let turn = 1; turn <= 20; turn++) {
    socket.write(asked('/small', MAX_UNANSWERED));
    await expect.poll(() => count('transfer-end'), { interval: 1 }).toBe(turn * MAX_UNANSWERED);
  }
  for (let turn = 1; turn <= 20; turn++) {
    const before = text.length;
    socket.write(asked('/small', 1));
    await expect.poll(() => text.length - before, { interval: 1 }).toBeGreaterThan(SMALL);
  }
  expect(answers()).toBe(20 * MAX_UNANSWERED + 20);
  expect(logged).toEqual([]);
});

test.each([
  ['one after another', []],
  ['at once', ['--parallel', '--parallel-max', '20']],
])('curl has its files %s', async (_, how) => {
  const urls = `http://127.0.0.1:${server.port}/small[1-200]`;
  const { stdout } = await promisify(execFile)('curl', [
    ...['-sS', '--fail', ...how, '-o', '/dev/null', '-w', '%{http_code} %{size_download}\n'],
    urls,
  ]);
  expect(stdout.trim().split('\n')).toEqual(Array(200).fill(`200 ${SMALL}`));
  expect(logged).toEqual([]);
});
