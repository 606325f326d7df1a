import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { StoreError } from '../../imager/disks/store-error.ts';
import type { Controls } from '../../imager/http/control-routes.ts';
import { ApiError } from '../../imager/http/errors.ts';
import type { ReadModel } from '../../imager/http/read-model.ts';
import { MAX_EVENTS } from '../../imager/http/read-routes.ts';
import { ControlServer, HttpServer, type HttpServerOptions } from '../../imager/http/server.ts';
import { type BootFile, type BootFiles, memoryFile } from '../../imager/images/boot-files.ts';
import { BootTable } from '../../imager/images/table.ts';
import { BootTree } from '../../imager/images/tree.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import { asKernel } from '../support/kernels.ts';

const run = promisify(execFile);
const log = pino({ level: 'silent' });
const FAILED = "the request failed: the imager's log says why";
const KERNEL = asKernel('amd64', Buffer.alloc(3_000_000, 'kernel of the tests '));

let dir: string;
let server: HttpServer;
let control: ControlServer;
let events: BootEvent[] = [];
let logged: string[] = [];
let files: BootFiles;
let opened = 0;
const bus = new EventEmitter();

const model: ReadModel = {
  health: () => ({
    status: 'ok',
    cluster: 'demo',
    started: '2026-01-01T00:00:00.000Z',
    now: '2026-01-01T00:00:01.000Z',
    nodes: { known: 1, connected: 1 },
    ports: { http: 80 },
    problems: [],
  }),
  nodes: () => [{ name: 'node1' } as ReturnType<ReadModel['nodes']>[number]],
  node: (name) => (name === 'node1' ? ({ name } as ReturnType<ReadModel['node']>) : undefined),
  resources: () => undefined,
  menus: () => undefined,
  images: () => [],
  bases: async () => [],
  disks: () => [],
  diskNames: () => [],
  disk: (name) => {
    if (name === 'damaged') throw new StoreError('disk "damaged" is damaged: no superblock');
    if (name === 'full') throw Object.assign(new Error('ENOSPC: write'), { code: 'ENOSPC', errno: -28 });
    if (name === 'odd') throw new TypeError('a fault of the program');
    return undefined;
  },
  leases: () => [{ address: '10.0.0.9' }],
  events: (query) =>
    Array.from({ length: query.node === 'busy' ? MAX_EVENTS + 500 : 1 }, (_, index) => ({
      id: index + 1,
      at: 5,
      component: 'dhcp',
      step: JSON.stringify(query),
    })),
  stats: () => ({ tftp: { 'dropped.short': 3 } }),
  gauges: () => ({ agent: { connections: 2 } }),
  boots: () => undefined,
  watch: () => {},
};

const controls: Controls = {
  flash: (node, target) =>
    Promise.reject(new ApiError(404, `no image for ${node}: ${target.disks.join()}`, ['a', 'b'])),
  power: async (node, action) => ({ node, action, via: 'agent' }),
  define: async () => ({ definition: null, standing: 'wanted' as const, last: null }),
  undefine: async (node) => ({ node, defined: true, erased: true }),
  outputs: () => [],
  addImage: () => Promise.reject(new Error('disk full')),
  addNbi: () => Promise.reject(new Error('disk full')),
  verifyImage: async () => [],
  signImage: async () => {
    throw new Error('not here');
  },
  packBase: () => Promise.reject(new ApiError(409, 'no boot yet')),
  checkMenus: async () => ({ nodes: 0, templates: 0, faults: [], notes: [] }),
  baseProgress: (name) => (name === 'b' ? 0.5 : null),
  addBase: ({ name }) => Promise.resolve({ name, size: 1, digest: '', allocatedBytes: 0 }),
  baseLoss: async (name) => ({ name, damage: 'all of it' }),
  removeBase: () => Promise.reject(new ApiError(409, 'in use')),
  createDisk: () => Promise.reject(new ApiError(409, 'taken')),
  disks: {
    generations: (disk) => Promise.resolve({ disk, parent: 0, generations: [] }),
    snapshot: () => Promise.reject(new ApiError(409, 'too many')),
    rollBack: () => Promise.reject(new ApiError(409, 'in use')),
    drop: () => Promise.reject(new ApiError(409, 'gone')),
    differences: (_, from, to) => Promise.resolve({ from, to, bytes: 0, granularity: 4096, ranges: [] }),
    commit: (_, name) => Promise.resolve({ name, size: 1, digest: '', allocatedBytes: 0 }),
    grow: () => Promise.reject(new ApiError(409, 'smaller')),
    letGo: () => Promise.reject(new ApiError(409, 'in use')),
    diskLoss: async (name) => ({ name, damage: 'all of it' }),
    removeDisk: () => Promise.reject(new ApiError(409, 'in use')),
  },
};

/** Files the tree does not have: one without end, one that breaks, one that is shorter than it said. */
function odd(tree: BootFiles): BootFiles {
  const file = (size: number, read: BootFile['read']): BootFile => ({
    size,
    read,
    close: async () => {
      opened--;
      bus.emit('closed');
    },
  });
  return {
    async open(path, client) {
      opened++;
      if (path === 'images/odd/endless')
        return file(1e12, async (target) => {
          target.fill(7);
          return target.length;
        });
      if (path === 'images/odd/broken') return file(1000, () => Promise.reject(new Error('EIO: bad sector')));
      if (path === 'images/odd/short') return file(1000, async (_target, offset) => (offset === 0 ? 10 : 0));
      if (path === 'images/odd/closed')
        throw Object.assign(new Error("EACCES: permission denied, open '/var/lib/imager/kernel'"), {
          code: 'EACCES',
        });
      if (path === 'images/odd/slow') {
        bus.emit('opening');
        await once(bus, 'open');
        return file(1000, () => Promise.reject(new Error('not to be read')));
      }
      if (path === 'images/odd/client') return memoryFile(Buffer.from(client.address));
      opened--;
      return tree.open(path, client);
    },
  };
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'http-'));
  writeFileSync(join(dir, 'k'), KERNEL);
  writeFileSync(join(dir, 'i'), 'initrd');
  const table = await BootTable.open(join(dir, 'images'), temporarySigner());
  await table.add({
    name: 'base',
    arch: 'amd64',
    kernel: join(dir, 'k'),
    initrd: join(dir, 'i'),
    args: 'quiet',
  });
  writeFileSync(join(dir, 'secret'), 'secret');
  files = odd(new BootTree(table, { 'ipxe/undionly.kpxe': join(dir, 'i') }));
  server = await HttpServer.start(common());
  control = await ControlServer.start({ path: join(dir, 'control.sock'), model, controls, log });
});
afterAll(async () => {
  await server.close();
  await control.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  events = [];
});

function common(): HttpServerOptions {
  return {
    address: '127.0.0.1',
    port: 0,
    files,
    model,
    sink: (event) => {
      events.push(event);
      bus.emit(event.step, event);
    },
    clock: systemClock,
    log: pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) }) as Logger,
  };
}

const url = (path: string) => `http://127.0.0.1:${server.port}${path}`;

/** Sends a path as it is: fetch and curl tidy it up first. */
async function raw(path: string): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

function ask(method: string, path: string, body?: unknown): Promise<{ status: number; answer: unknown }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const sent = request({ socketPath: control.path, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode!, answer: JSON.parse(text) }));
    });
    sent.once('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

test('curl loads a boot file whole, with its exact length, and the events say so', async () => {
  const ended = once(bus, 'transfer-end');
  const out = join(dir, 'kernel.out');
  const { stdout } = await run('curl', ['-sS', '-D', '-', '-o', out, url('/images/base/kernel')]);
  expect(stdout).toMatch(/^HTTP\/1\.1 200/);
  expect(stdout.toLowerCase()).toContain(`content-length: ${KERNEL.length}\r\n`);
  expect(createHash('sha256').update(readFileSync(out)).digest()).toEqual(
    createHash('sha256').update(KERNEL).digest(),
  );
  await ended;
  expect(events).toMatchObject([
    {
      component: 'http',
      step: 'transfer-start',
      address: '127.0.0.1',
      detail: { file: 'images/base/kernel', size: KERNEL.length },
    },
    { component: 'http', step: 'transfer-end', detail: { file: 'images/base/kernel', bytes: KERNEL.length } },
  ]);
  const [start, end] = events.map(({ detail }) => detail?.port);
  expect(start).toBeGreaterThan(1023);
  expect(end).toBe(start);
});

test('generated files, fixed files, HEAD, and ranges', async () => {
  expect(await (await fetch(url('/images/base/boot.ipxe'))).text()).toMatch(/^#!ipxe\n[\s\S]*\nboot\n$/);
  expect(await (await fetch(url('/ipxe/undionly.kpxe'))).text()).toBe('initrd');
  const head = await fetch(url('/images/base/kernel'), { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), head.headers.get('accept-ranges')]).toEqual([
    200,
    String(KERNEL.length),
    'bytes',
  ]);
  const ended = once(bus, 'transfer-end');
  const part = await fetch(url('/images/base/kernel'), { headers: { range: 'bytes=1000000-1000009' } });
  expect([part.status, part.headers.get('content-range')]).toEqual([
    206,
    `bytes 1000000-1000009/${KERNEL.length}`,
  ]);
  expect(Buffer.from(await part.arrayBuffer())).toEqual(KERNEL.subarray(1_000_000, 1_000_010));
  expect((await ended)[0]).toMatchObject({ detail: { bytes: 10, of: KERNEL.length } });
  const past = await fetch(url('/images/base/initrd'), { headers: { range: 'bytes=6-' } });
  expect([past.status, past.headers.get('content-range')]).toEqual([416, 'bytes */6']);
});

test.each([
  '/images/../secret',
  '/images/base/../../../../etc/passwd',
  '/images/%2e%2e/%2e%2e/secret',
  '/images/..%2f..%2fsecret',
  '/images/base/..\\..\\..\\secret',
  '/images//etc/passwd',
  '/images/base/kernel%00',
  '/images/absent/kernel',
  '/images/',
  '/secret',
  '/images/%zz',
])('never outside the tree: %s', async (path) => {
  const answer = await raw(path);
  expect(answer).toMatch(/^HTTP\/1\.1 (404|400) /);
  expect(answer).not.toContain('root:');
  expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toHaveProperty('error');
});

test('a file that is not there is counted and told with its reason', async () => {
  await fetch(url('/images/base/absent'));
  expect(events).toMatchObject([
    { component: 'http', step: 'refused', reason: 'not-found', address: '127.0.0.1' },
  ]);
  expect(server.stats()['refused.not-found']).toBeGreaterThan(0);
});

test('a path that cannot be decoded is answered, counted, and told like any other that is not there', async () => {
  const before = server.stats()['refused.not-found'] ?? 0;
  const answer = await raw('/images/100%/kernel?x');
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toEqual({
    error: expect.stringContaining('/images/100%/kernel'),
  });
  expect(events).toMatchObject([
    {
      ...{ component: 'http', step: 'refused', reason: 'not-found', address: '127.0.0.1' },
      detail: { file: 'images/100%/kernel', why: 'its percent signs are no encoding' },
    },
  ]);
  expect(server.stats()['refused.not-found']).toBe(before + 1);
});

test.each(['/api/%zz', '/api/nodes/100%/menus?x', '/health/%', '/metrics/%zz'])(
  "what cannot be decoded and is no boot file is nobody's boot: %s",
  async (path) => {
    const before = server.stats()['refused.not-found'] ?? 0;
    const answer = await raw(path);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    const { error } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as { error: string };
    expect(error).toContain('its percent signs are no encoding');
    expect(error).not.toContain('boot file');
    expect(events).toEqual([]);
    expect(server.stats()['refused.not-found'] ?? 0).toBe(before);
  },
);

test.each(['/api/nonsense', '/health/x', '/metrics/'])(
  "what is not there and is no boot file is nobody's boot: %s",
  async (path) => {
    const before = server.stats()['refused.not-found'] ?? 0;
    const answer = await raw(path);
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toEqual({
      error: `there is no "${path}" here`,
    });
    expect(events).toEqual([]);
    expect(server.stats()['refused.not-found'] ?? 0).toBe(before);
  },
);

test.each([
  ['garbage', '\0\x01\x02\r\n\r\n', 400],
  ['two lengths', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
  ['endless headers', `GET / HTTP/1.1\r\nX: ${'y'.repeat(20_000)}`, 431],
])('what is no HTTP is answered, hung up on and counted: %s', async (_, sent, status) => {
  const before = server.stats()['dropped.malformed'] ?? 0;
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.write(sent);
  await once(socket, 'close');
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(server.stats()['dropped.malformed']).toBe(before + 1);
});

test('a client that goes away ends its transfer: the file is closed, the event says why', async () => {
  const failed = once(bus, 'transfer-failed');
  const closed = once(bus, 'closed');
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /images/odd/endless HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  expect((await failed)[0]).toMatchObject({ reason: 'client-gone', detail: { file: 'images/odd/endless' } });
  await closed;
  expect(opened).toBe(0);
});

test('a client that does not read makes the server wait, not remember', async () => {
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /images/odd/endless HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'readable');
  const before = process.memoryUsage().arrayBuffers;
  // Another whole transfer goes by meanwhile: the server had every chance to read on for the first.
  await (await fetch(url('/images/base/kernel'))).arrayBuffer();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
  const failed = once(bus, 'transfer-failed');
  socket.destroy();
  await failed;
});

test('a file that cannot be read is an error, one that ends early breaks the connection', async () => {
  const unreadable = once(bus, 'transfer-failed');
  const broken = await fetch(url('/images/odd/broken'), { headers: { range: 'bytes=5-9' } });
  expect([broken.status, await broken.json()]).toEqual([500, { error: FAILED }]);
  expect([broken.headers.get('content-range'), broken.headers.get('accept-ranges')]).toEqual([null, null]);
  expect((await unreadable)[0]).toMatchObject({
    reason: 'unreadable',
    detail: { file: 'images/odd/broken' },
  });
  const early = once(bus, 'transfer-failed');
  const short = await fetch(url('/images/odd/short'));
  expect(short.headers.get('content-length')).toBe('1000');
  await expect(short.arrayBuffer()).rejects.toThrow();
  expect((await early)[0]).toMatchObject({ reason: 'unreadable', detail: { file: 'images/odd/short' } });
});

test('what went wrong inside is for the log: neither answer nor event names it', async () => {
  opened = 0;
  logged = [];
  const closed = await fetch(url('/images/odd/closed'));
  opened = 0;
  expect([closed.status, await closed.json()]).toEqual([500, { error: FAILED }]);
  expect(JSON.stringify(events)).not.toContain('/var/lib');
  expect(events).toMatchObject([{ step: 'refused', reason: 'unreadable' }]);
  expect(logged.join()).toContain('/var/lib/imager/kernel');
});

test('a failure that is known is one line of the log, without a stack; one of the program has its stack', async () => {
  const told = async (name: string): Promise<Record<string, unknown>> => {
    logged = [];
    expect((await fetch(url(`/api/disks/${name}`))).status).toBe(500);
    expect(logged).toHaveLength(1);
    return JSON.parse(logged[0]!);
  };
  const damaged = await told('damaged');
  expect(damaged).toMatchObject({
    url: '/api/disks/damaged',
    msg: 'request failed: disk "damaged" is damaged: no superblock',
  });
  expect(damaged).not.toHaveProperty('err');
  expect(await told('full')).not.toHaveProperty('err');
  expect(await told('odd')).toMatchObject({
    msg: 'request failed',
    err: { message: 'a fault of the program', stack: expect.stringContaining('server.test.ts') },
  });
});

test('a client that leaves while its file is being opened: the file is closed, the event says why', async () => {
  const opening = once(bus, 'opening');
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /images/odd/slow HTTP/1.1\r\nHost: x\r\n\r\n');
  await opening;
  socket.destroy();
  // Another whole request goes by meanwhile: the server had every chance to see the client go.
  await (await fetch(url('/images/base/kernel'))).arrayBuffer();
  events = [];
  const [failed, closed] = [once(bus, 'transfer-failed'), once(bus, 'closed')];
  bus.emit('open');
  expect((await failed)[0]).toMatchObject({
    reason: 'client-gone',
    detail: { file: 'images/odd/slow', bytes: 0 },
  });
  await closed;
  expect(opened).toBe(0);
  expect(events.map(({ step }) => step)).toEqual(['transfer-start', 'transfer-failed']);
});

test('one host cannot take all connections, and what is dropped is counted', async () => {
  const small = await HttpServer.start({ ...common(), maxConnections: 5, maxPerAddress: 3 });
  const sockets: Socket[] = [];
  const open = async (localAddress: string) => {
    const socket = connect({ port: small.port, host: '127.0.0.1', localAddress });
    sockets.push(socket);
    const ended = once(socket, 'close').then(() => 'dropped');
    socket.on('error', () => {});
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    return Promise.race([
      once(socket, 'data').then(
        () => 'served',
        () => 'dropped',
      ),
      ended,
    ]);
  };
  for (let count = 0; count < 3; count++) expect(await open('127.0.0.1')).toBe('served');
  expect(await open('127.0.0.1')).toBe('dropped');
  for (let count = 0; count < 2; count++) expect(await open('127.0.0.2')).toBe('served');
  expect(await open('127.0.0.3')).toBe('dropped');
  expect(small.stats()).toMatchObject({
    'dropped.too-many-per-address': 1,
    'dropped.too-many-connections': 1,
  });
  const gone = once(sockets[0]!, 'close');
  sockets[0]!.destroy();
  await gone;
  sockets[4]!.destroy();
  while ((await open('127.0.0.1')) !== 'served');
  for (const socket of sockets) socket.destroy();
  await small.close();
});

test('the read API', async () => {
  expect(await (await fetch(url('/health'))).json()).toMatchObject({ status: 'ok', cluster: 'demo' });
  expect(await (await fetch(url('/api/nodes/node1'))).json()).toEqual({ name: 'node1' });
  const unknown = await fetch(url('/api/nodes/nodeX'));
  expect([unknown.status, await unknown.json()]).toEqual([
    404,
    { error: 'no node "nodeX"; there is: node1', known: ['node1'] },
  ]);
  const [event] = (await (await fetch(url('/api/events?node=a&since=12.5&after=3'))).json()) as BootEvent[];
  expect(JSON.parse(event!.step)).toEqual({ node: 'a', since: 12.5, after: 3 });
  const newest = (await (await fetch(url('/api/events?node=busy'))).json()) as { id: number }[];
  expect([newest.length, newest[0]!.id, newest.at(-1)!.id]).toEqual([MAX_EVENTS, 501, MAX_EVENTS + 500]);
  const wrong = await fetch(url('/api/events?since=yesterday'));
  expect([wrong.status, await wrong.json()]).toEqual([400, { error: expect.stringMatching(/^since: /) }]);
  expect(await (await fetch(url('/api/leases'))).json()).toEqual([{ address: '10.0.0.9' }]);
});

test('metrics in the text format', async () => {
  const text = await (await fetch(url('/metrics'))).text();
  expect(text).toContain('bootwright_server_total{server="tftp",what="dropped.short"} 3');
  expect(text).toContain('bootwright_nodes_connected 1');
  expect(text).toMatch(
    /# TYPE bootwright_server gauge\nbootwright_server\{server="agent",what="connections"\} 2/,
  );
  expect(text).toContain('process_resident_memory_bytes');
});

test('nothing on the network changes anything', async () => {
  for (const path of ['/control/disks', '/control/nodes/node1/power', '/api/nodes'])
    expect((await fetch(url(path), { method: 'POST' })).status).toBe(404);
});

test('a boot file is only read: other methods are 405, and what there is not stays 404', async () => {
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const there = await fetch(url('/images/base/kernel'), { method, body: 'a=b' });
    expect([there.status, there.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect(await there.json()).toEqual({ error: 'a boot file is only read: GET and HEAD' });
    expect((await fetch(url('/images/base/none'), { method })).status).toBe(404);
  }
});

test('the control socket is its owner s alone, checks bodies, and gives errors their status', async () => {
  expect(statSync(control.path).mode & 0o777).toBe(0o600);
  expect(await ask('POST', '/control/nodes/n/power', { action: 'cycle' })).toEqual({
    status: 200,
    answer: { node: 'n', action: 'cycle', via: 'agent' },
  });
  expect(await ask('POST', '/control/nodes/n/power', { action: 'explode' })).toMatchObject({
    status: 400,
    answer: { error: expect.stringMatching(/^action: /) },
  });
  expect(await ask('POST', '/control/nodes/n/flash', { image: 'x', disks: ['d'] })).toEqual({
    status: 404,
    answer: { error: 'no image for n: d', known: ['a', 'b'] },
  });
  expect(await ask('POST', '/control/bases', { name: '../x', file: 'relative' })).toMatchObject({
    status: 400,
    answer: { error: expect.stringMatching(/name: .*; file: an absolute path/) },
  });
  expect(await ask('POST', '/control/disks', { name: 'd', base: 'b' })).toMatchObject({ status: 409 });
  for (const path of ['/control/disks/d', '/control/bases/d']) {
    expect(await ask('GET', `${path}/loss`)).toMatchObject({ status: 200, answer: { name: 'd' } });
    expect(await ask('POST', `${path}/remove`, {})).toMatchObject({ status: 409 });
  }
  expect(
    await ask('POST', '/control/images', { name: 'x', arch: 'arm64', kernel: '/k', initrd: '/i', args: '' }),
  ).toEqual({ status: 500, answer: { error: 'disk full' } });
  expect(await ask('GET', '/api/nodes/node1')).toMatchObject({ status: 200 });
  expect(await ask('GET', '/control/bases/b/progress')).toEqual({ status: 200, answer: { share: 0.5 } });
});

test('a socket path that is too long is refused in words', async () => {
  const path = join(dir, 'x'.repeat(120), 'control.sock');
  await expect(ControlServer.start({ path, model, controls, log })).rejects.toThrow(/at most 107/);
});
