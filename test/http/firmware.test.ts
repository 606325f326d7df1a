/** What boot firmware and loaders need of an HTTP server, byte by byte: RFC 9110, RFC 9112. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ReadModel } from '../../imager/http/read-model.ts';
import { HttpServer } from '../../imager/http/server.ts';
import { type BootFiles, memoryFile } from '../../imager/images/boot-files.ts';
import { normalisePath } from '../../imager/images/tree.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';

const run = promisify(execFile);
const LOADER = Buffer.alloc(200_000, 'an EFI program ');

let dir: string;
let server: HttpServer;
let secure: HttpServer;
let events: BootEvent[] = [];

const files: BootFiles = {
  open: async (path) =>
    ({ 'ipxe/snponly.efi': memoryFile(LOADER), 'images/a/boot.ipxe': memoryFile(Buffer.from('#!ipxe\n')) })[
      normalisePath(path) ?? ''
    ],
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'http-'));
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const subject = ['-subj', '/CN=imager', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  await run('openssl', ['req', ...kind, ...subject, '-keyout', key, '-out', cert]);
  const common = {
    address: '127.0.0.1',
    port: 0,
    files,
    model: {
      stats: () => ({}),
      gauges: () => ({}),
      eventCounts: () => [],
      watch: () => () => {},
    } as unknown as ReadModel,
    sink: (event: BootEvent) => void events.push(event),
    clock: systemClock,
    log: pino({ level: 'silent' }),
  };
  server = await HttpServer.start(common);
  secure = await HttpServer.start({
    ...common,
    tls: { cert: readFileSync(cert), key: readFileSync(key) },
  });
});
afterAll(async () => {
  await Promise.all([server?.close(), secure?.close()]);
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  events = [];
});

const url = (path: string) => `http://127.0.0.1:${server.port}${path}`;

/** One connection on which requests are sent as they are, one after the other. */
class Wire {
  readonly #socket: Socket;
  #text = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (chunk) => {
      this.#text += chunk;
      socket.emit('more');
    });
    socket.on('close', () => socket.emit('more'));
  }

  static async open(): Promise<Wire> {
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    return new Wire(socket);
  }

  /** Status, headers (names in lower case) and body; the body's end is what Content-Length says. */
  async ask(target: string, { method = 'GET', version = '1.1', headers = ['Host: x'] } = {}) {
    this.#socket.write(`${[`${method} ${target} HTTP/${version}`, ...headers].join('\r\n')}\r\n\r\n`);
    const head = await this.#until(() => this.#text.split('\r\n\r\n')[1] !== undefined && this.#text);
    const [first = '', ...lines] = head.slice(0, head.indexOf('\r\n\r\n')).split('\r\n');
    const fields = Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 2),
      ]),
    );
    const start = head.indexOf('\r\n\r\n') + 4;
    const bodyless = method === 'HEAD' || first.includes(' 304 ');
    const length = bodyless ? 0 : Number(fields['content-length']);
    const body = await this.#until(
      () => this.#text.length >= start + length && this.#text.slice(start, start + length),
    );
    this.#text = this.#text.slice(start + length);
    return { status: Number(first.split(' ')[1]), fields, body };
  }

  close(): void {
    this.#socket.destroy();
  }

  async #until(look: () => string | false): Promise<string> {
    for (;;) {
      const found = look();
      if (found !== false) return found;
      if (this.#socket.destroyed) throw new Error(`closed after ${JSON.stringify(this.#text.slice(0, 200))}`);
      await once(this.#socket, 'more');
    }
  }
}

async function wire<T>(work: (wire: Wire) => Promise<T>): Promise<T> {
  const opened = await Wire.open();
  return work(opened).finally(() => opened.close());
}

test('exact length, never chunked, and the connection stays for the next request', () =>
  wire(async (one) => {
    for (const method of ['HEAD', 'GET', 'GET']) {
      const { status, fields, body } = await one.ask('/ipxe/snponly.efi', { method });
      expect(status).toBe(200);
      expect(fields).toMatchObject({ 'content-length': '200000', 'accept-ranges': 'bytes' });
      expect(fields).not.toHaveProperty('transfer-encoding');
      expect(fields.connection).not.toBe('close');
      expect(body.length).toBe(method === 'HEAD' ? 0 : LOADER.length);
    }
    expect((await one.ask('/ipxe/absent.efi')).status).toBe(404);
    expect((await one.ask('/ipxe/snponly.efi')).status).toBe(200);
  }));

// A redirect is more than firmware follows, so each spelling is served as it comes.
test.each([
  '/ipxe/snponly.efi',
  '//ipxe/snponly.efi',
  '/ipxe//snponly.efi',
  '///ipxe///snponly.efi',
  '/./ipxe/./snponly.efi',
  '/images/../ipxe/snponly.efi',
  '/%69pxe/snponly%2Eefi',
  '/ipxe%2Fsnponly.efi',
  '/ipxe\\snponly.efi',
  '/ipxe%5Csnponly.efi',
  '/ipxe/snponly.efi?arch=x86_64',
  '/ipxe/snponly.efi?a=%zz&b=//',
  'http://10.77.0.1/ipxe/snponly.efi',
  'http://10.77.0.1//ipxe/snponly.efi',
])('GET %s is the file itself', (target) =>
  wire(async (one) => {
    const { status, body } = await one.ask(target);
    expect([status, body.length]).toEqual([200, LOADER.length]);
  }),
);

test('HTTP/1.0 without Host, as the smallest loaders ask', () =>
  wire(async (one) => {
    const { status, fields, body } = await one.ask('/images/a/boot.ipxe', { version: '1.0', headers: [] });
    expect([status, fields['content-length'], body]).toEqual([200, '7', '#!ipxe\n']);
    expect(fields).not.toHaveProperty('transfer-encoding');
  }));

test('a copy that is still good is not sent again; a part is of the same file or the whole comes', () =>
  wire(async (one) => {
    const target = '/ipxe/snponly.efi';
    const tag = (await one.ask(target)).fields.etag!;
    expect(tag).toMatch(/^"[0-9a-z-]+"$/);
    events = [];
    const same = await one.ask(target, { headers: ['Host: x', `If-None-Match: ${tag}`] });
    expect([same.status, same.fields.etag, same.body]).toEqual([304, tag, '']);
    expect(events).toEqual([]);
    const changed = await one.ask(target, { headers: ['Host: x', 'If-None-Match: "old"'] });
    expect(changed.status).toBe(200);
    const part = async (name: string) =>
      one.ask(target, { headers: ['Host: x', 'Range: bytes=199990-', `If-Range: ${name}`] });
    expect(await part(tag)).toMatchObject({ status: 206, fields: { 'content-length': '10', etag: tag } });
    expect(await part('"old"')).toMatchObject({ status: 200, fields: { 'content-length': '200000' } });
    const other = await one.ask('/images/a/boot.ipxe');
    expect(other.fields.etag).not.toBe(tag);
  }));

test('what failed has no tag of what it is not', () =>
  wire(async (one) => {
    expect((await one.ask('/absent')).fields).not.toHaveProperty('etag');
  }));

test('curl: a load that broke off goes on where it was', async () => {
  const out = join(dir, 'resumed');
  await run('curl', ['-fsS', '-o', out, '-r', '0-99999', url('/ipxe/snponly.efi')]);
  await run('curl', ['-fsS', '-o', out, '-C', '-', url('/ipxe/snponly.efi')]);
  expect(readFileSync(out).equals(LOADER)).toBe(true);
});

test('HTTPS: curl checks the certificate and loads the same bytes; plain HTTP is not answered there', async () => {
  const out = join(dir, 'over-tls');
  const target = `https://127.0.0.1:${secure.port}//ipxe/snponly.efi`;
  await run('curl', ['-fsS', '--cacert', join(dir, 'cert.pem'), '-o', out, target]);
  expect(readFileSync(out).equals(LOADER)).toBe(true);
  expect(events.at(-1)).toMatchObject({ component: 'http', step: 'transfer-end', address: '127.0.0.1' });
  await expect(run('curl', ['-fsS', target])).rejects.toThrow(/certificate/);
  await expect(run('curl', ['-fsS', target.replace('https', 'http')])).rejects.toThrow();
  const { stdout } = await run('curl', ['-fsS', '-k', '-I', target]);
  expect(stdout.toLowerCase()).toContain('content-length: 200000');
});
