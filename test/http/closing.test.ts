/** Connections as strangers leave them: silent, reset, half-way; and what they do to a server that closes. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { pino } from 'pino';
import { afterEach, beforeAll, expect, test } from 'vitest';
import type { ReadModel } from '../../imager/http/read-model.ts';
import { HttpServer } from '../../imager/http/server.ts';
import { memoryFile } from '../../imager/images/boot-files.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { resetUnseen } from '../support/reset-unseen.ts';

const events: BootEvent[] = [];
const logged: string[] = [];
let tls: { cert: Buffer; key: Buffer };
const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

beforeAll(() => {
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const pem = execFileSync('openssl', ['req', ...kind, '-subj', '/CN=imager', '-keyout', '-', '-out', '-'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  tls = { cert: pem, key: pem };
});

function serve(secure: boolean): Promise<HttpServer> {
  return HttpServer.start({
    address: '127.0.0.1',
    port: 0,
    files: { open: async () => memoryFile(Buffer.alloc(1000)) },
    model: { stats: () => ({}), gauges: () => ({}), watch: () => {} } as unknown as ReadModel,
    sink: (event) => void events.push(event),
    clock: systemClock,
    log: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }),
    ...(secure ? { tls } : {}),
  });
}

async function connectTo({ port }: { port: number }): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  open.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

test('connections that say nothing more do not keep the server from closing', async () => {
  const silent: [secure: boolean, text: string][] = [
    [false, ''],
    [false, 'GET /a HTTP/1.1\r\nHo'],
    [true, ''],
    [true, '\x16\x03\x01\x02\x00\x01\x00'],
  ];
  const closing = silent.map(async ([secure, text]) => {
    const server = await serve(secure);
    const socket = await connectTo(server);
    if (text !== '') socket.write(text, 'latin1');
    const gone = once(socket, 'close');
    await server.close();
    await gone;
  });
  await Promise.all(closing);
});

test('a client that reset its connection before it was taken is nobody, and no fault of the imager', async () => {
  const server = await serve(false);
  resetUnseen(server.port, Buffer.from('GET /a HTTP/1.1\r\nHost: x\r\n\r\n'));
  const later = await connectTo(server);
  later.write('GET /b HTTP/1.0\r\n\r\n');
  await once(later.resume(), 'close');
  expect(logged).toEqual([]);
  expect(events.map(({ step, detail }) => [step, detail?.file])).toEqual([
    ['transfer-start', 'b'],
    ['transfer-end', 'b'],
  ]);
  expect(server.stats()['dropped.gone']).toBe(1);
  await server.close();
});

test('a request right behind its TLS handshake, of a client that is gone, is nobody s as well', async () => {
  const server = await serve(true);
  const raw = await connectTo(server);
  const secure = connectTls({ socket: raw, rejectUnauthorized: false });
  secure.on('error', () => {});
  await once(secure, 'secureConnect');
  // All in one turn: the server reads the end of the handshake when the reset has come.
  secure.write('GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n');
  raw.resetAndDestroy();
  await expect.poll(() => server.stats()['dropped.gone']).toBe(1);
  const later = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
  open.push(later);
  later.write('GET /b HTTP/1.0\r\n\r\n');
  await once(later.resume(), 'close');
  await server.close();
});

test('a HEAD has no range: the size it tells is the whole file s', async () => {
  const server = await serve(false);
  const asked = await fetch(`http://127.0.0.1:${server.port}/a`, {
    method: 'HEAD',
    headers: { range: 'bytes=0-9' },
  });
  const { status, headers } = asked;
  expect([status, headers.get('content-length'), headers.get('content-range')]).toEqual([200, '1000', null]);
  await server.close();
});
