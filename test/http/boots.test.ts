import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { addBootsRoutes } from '../../imager/http/boots-routes.ts';
import { answerErrors } from '../../imager/http/errors.ts';
import type { BootsView } from '../../imager/journal/attempts.ts';
import type { RecordedEvent } from '../../imager/journal/event.ts';
import { BusyError } from '../../imager/journal/event-files.ts';

let app: FastifyInstance;
let base: string;
let reading: PromiseWithResolvers<BootsView>;
let listeners: Set<(event: RecordedEvent) => void>;
const asked: [string, number][] = [];
const event = (id: number): RecordedEvent => ({ id, at: id, component: 'dhcp', step: 'discover' });
const view: BootsView = { who: 'n1', node: 'n1', attempts: [] };

beforeEach(async () => {
  reading = withResolvers<BootsView>();
  listeners = new Set();
  app = Fastify();
  answerErrors(app, pino({ level: 'silent' }), { inside: false });
  addBootsRoutes(app, {
    nodes: () => [{ name: 'n1' } as never],
    boots: (who, last) => {
      asked.push([who, last]);
      if (who !== 'n1') return undefined;
      return {
        view: reading.promise,
        watch: (listener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      };
    },
  });
  base = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => app.close());

test('the view, with how many attempts were asked for', async () => {
  reading.resolve(view);
  expect(await (await fetch(`${base}/api/boots/n1?last=7`)).json()).toEqual(view);
  expect(asked.at(-1)).toEqual(['n1', 7]);
  expect((await fetch(`${base}/api/boots/n1?last=0`)).status).toBe(400);
  const nobody = await fetch(`${base}/api/boots/n2`);
  expect(nobody.status).toBe(404);
  expect(await nobody.json()).toMatchObject({ error: expect.stringContaining('n1') });
});

test('too many readers: ask again', async () => {
  reading.reject(new BusyError('ask again'));
  expect((await fetch(`${base}/api/boots/n1`)).status).toBe(503);
  expect((await fetch(`${base}/api/boots/n1/stream`)).status).toBe(503);
  expect(listeners.size).toBe(0);
});

test('a stream: what is known, then what came while it was read, then the rest', async () => {
  const sent = get(`${base}/api/boots/n1/stream`, { agent: false });
  while (listeners.size === 0) await new Promise(setImmediate);
  const tell = (id: number) => {
    for (const listener of listeners) listener(event(id));
  };
  tell(1);
  reading.resolve(view);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const until = async (end: string) => {
    while (!text.endsWith(end)) await new Promise(setImmediate);
  };
  await until(`data: ${JSON.stringify(event(1))}\n\n`);
  tell(2);
  await until(`data: ${JSON.stringify(event(2))}\n\n`);
  expect(text).toBe(
    `event: boots\ndata: ${JSON.stringify(view)}\n\ndata: ${JSON.stringify(event(1))}\n\ndata: ${JSON.stringify(event(2))}\n\n`,
  );
  response.destroy();
  while (listeners.size > 0) await new Promise(setImmediate);
});

test('64 streams at most; they end with the server', async () => {
  reading.resolve(view);
  const streams = await Promise.all(Array.from({ length: 64 }, () => fetch(`${base}/api/boots/n1/stream`)));
  expect(streams.map(({ status }) => status)).toEqual(Array(64).fill(200));
  expect((await fetch(`${base}/api/boots/n1/stream`)).status).toBe(503);
  const ends = Promise.all(streams.map((stream) => stream.text()));
  await app.close();
  expect((await ends)[63]).toBe(`event: boots\ndata: ${JSON.stringify(view)}\n\n`);
});

test('a HEAD of a stream is answered and holds nothing', async () => {
  reading.resolve(view);
  expect((await fetch(`${base}/api/boots/n1/stream`, { method: 'HEAD' })).status).toBe(404);
  expect(listeners.size).toBe(0);
});

test('a journal that takes long to read: nothing is sent before it', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] });
  try {
    const asked = fetch(`${base}/api/boots/n1/stream`);
    while (listeners.size === 0) await new Promise(setImmediate);
    vi.advanceTimersByTime(60_000);
    reading.resolve(view);
    expect((await asked).headers.get('content-type')).toBe('text/event-stream');
  } finally {
    vi.useRealTimers();
  }
});

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let [resolve, reject] = [(_: T) => {}, (_: Error) => {}];
  const promise = new Promise<T>((done, fail) => {
    [resolve, reject] = [done, fail];
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}
