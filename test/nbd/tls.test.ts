/** TLS: who is let in and as whom, by our own client, which lies, and by libnbd, qemu and nbd-client. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type ConnectionOptions, connect } from 'node:tls';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { BootEvent } from '../../imager/journal/event.ts';
import { NbdServer, type NbdServerOptions } from '../../imager/nbd/server.ts';
import type { TlsSettings } from '../../imager/nbd/tls.ts';
import { eventually } from '../support/eventually.ts';
import { Authority, writeKeys } from './certificates.ts';
import { MemoryCatalog, MemoryDisk } from './memory-catalog.ts';
import { CLIENT_FLAGS, DISC, infoRequest, option, RawClient, READ, request, WRITE } from './raw-client.ts';

const MIB = 2 ** 20;
const TLS_REQUIRED = 0x80000005;
const run = promisify(execFile);
let dir: string;
let ours: Authority;
let strangers: Authority;
let node1: string;
let x509: NonNullable<TlsSettings['x509']>;
let psk: Map<string, Buffer>;
let disk: MemoryDisk;
let server: NbdServer;
let events: BootEvent[];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'nbd-tls-'));
  ours = new Authority(join(dir, 'ours'));
  strangers = new Authority(join(dir, 'strangers'));
  const own = ours.issue('server', '/CN=imager');
  x509 = {
    cert: readFileSync(join(own, 'server-cert.pem')),
    key: readFileSync(join(own, 'server-key.pem')),
    ca: readFileSync(ours.ca),
  };
  node1 = ours.issue('client', '/O=nodes/CN=node1');
  mkdirSync(join(dir, 'psk'));
  psk = writeKeys(join(dir, 'psk/keys.psk'), ['node1', 'node2']);
});

afterAll(() => rmSync(dir, { recursive: true }));

async function start(tls: Partial<TlsSettings> = {}, more: Partial<NbdServerOptions> = {}): Promise<void> {
  events = [];
  disk = new MemoryDisk('n1', MIB);
  disk.content.fill('content of n1 ');
  server = await NbdServer.start({
    ...{ address: '127.0.0.1', port: 0, catalog: new MemoryCatalog([disk]) },
    ...{ sink: (event) => events.push(event), clock: { now: () => 0 }, log: pino({ level: 'silent' }) },
    tls: { mode: 'required', x509, psk, ...tls },
    ...more,
  });
}

afterEach(() => server.close());

/** A client that asked for TLS and was granted it, in the open still. */
async function granted(): Promise<RawClient> {
  const client = await RawClient.open(server.port);
  await client.take(18);
  client.send(CLIENT_FLAGS, option(5));
  expect((await client.optionReplies()).map(({ type }) => type)).toEqual([1]);
  return client;
}

/** Puts TLS on it; rejects where the handshake fails on this side. */
async function secured(options: ConnectionOptions): Promise<RawClient> {
  const { socket } = await granted();
  socket.removeAllListeners('data');
  const tls = connect({ socket, checkServerIdentity: () => undefined, ca: x509.ca, ...options });
  await new Promise<void>((resolve, reject) => {
    tls.once('secureConnect', resolve);
    tls.once('error', reject);
    tls.once('close', () => reject(new Error('closed')));
  });
  return RawClient.on(tls);
}

const certificateOf = (folder: string): ConnectionOptions => ({
  cert: readFileSync(join(folder, 'client-cert.pem')),
  key: readFileSync(join(folder, 'client-key.pem')),
});
const keyOf = (identity: string, key: Buffer): ConnectionOptions => ({
  pskCallback: () => ({ identity, psk: key }),
  ciphers: 'TLS_AES_128_GCM_SHA256:DHE-PSK-AES256-GCM-SHA384',
});

/** Opens n1 as `options` allow, and gives who the server takes us for. */
async function openAs(options: ConnectionOptions): Promise<string | undefined> {
  const client = await secured(options);
  client.send(option(7, infoRequest('n1')), request({ type: READ, length: 7 }));
  await client.optionReplies();
  expect((await client.reply(7)).data.toString()).toBe('content');
  const [view] = server.connections();
  client.send(request({ type: DISC }));
  await client.ended;
  await eventually(() => expect(server.connections()).toEqual([]));
  return view!.identity;
}

describe('who is at the other end', () => {
  test('by certificate and by key, in TLS 1.2 and 1.3', async () => {
    await start();
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      expect(await openAs({ ...certificateOf(node1), maxVersion })).toBe('node1');
      expect(await openAs({ ...keyOf('node2', psk.get('node2')!), maxVersion })).toBe('node2');
    }
    expect(server.stats()).toMatchObject({ secured: 4, attached: 4 });
  });

  test.each<[string, () => ConnectionOptions]>([
    ['no certificate', () => ({})],
    ['a certificate of another CA', () => certificateOf(strangers.issue('client', '/CN=node1'))],
    [
      'a certificate for servers',
      () => {
        const folder = ours.issue('server', '/CN=node1');
        return {
          cert: readFileSync(join(folder, 'server-cert.pem')),
          key: readFileSync(join(folder, 'server-key.pem')),
        };
      },
    ],
    ['a certificate that names nobody', () => certificateOf(ours.issue('client', '/O=nodes'))],
    ['a certificate with two names', () => certificateOf(ours.issue('client', '/CN=node1/CN=node2'))],
    ["a key that is not that name's", () => keyOf('node1', psk.get('node2')!)],
    ['a name that has no key', () => keyOf('node3', psk.get('node2')!)],
    [
      'TLS 1.1',
      () => ({
        ...certificateOf(node1),
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'ALL:@SECLEVEL=0',
      }),
    ],
  ])('%s: no one, and the end', async (_, options) => {
    await start();
    // In TLS 1.3 a client hears of it only after its own side of the handshake is through.
    const client = await secured(options()).catch(() => undefined);
    client?.send(option(7, infoRequest('n1')));
    await client?.ended;
    await eventually(() => expect(server.stats()['dropped.tls']).toBe(1));
    expect(disk.journal).toEqual([]);
    expect(events).toMatchObject([{ step: 'refused', reason: 'tls', detail: { why: expect.any(String) } }]);
    await eventually(() => expect(server.connections()).toEqual([]));
  });

  test("a key's name that was said and not used does not count beside a certificate", async () => {
    await start();
    // The name is said for a cipher of another hash, so that the server looks the key up and passes it over.
    const identity = await openAs({
      ...certificateOf(node1),
      ...keyOf('node2', psk.get('node2')!),
      ciphers: 'TLS_AES_256_GCM_SHA384',
    }).catch(() => 'nobody');
    expect(['node1', 'nobody']).toContain(identity);
  });

  test('keys alone need no certificate, and one is no use then', async () => {
    await start({ x509: undefined } as never);
    expect(await openAs(keyOf('node1', psk.get('node1')!))).toBe('node1');
    await secured(certificateOf(node1)).catch(() => undefined);
    await eventually(() => expect(server.stats()['dropped.tls']).toBe(1));
  });

  test("one client's disk is not another's from the same address; its own comeback takes over", async () => {
    await start();
    const first = await secured(certificateOf(node1));
    first.send(option(7, infoRequest('n1')), request({ type: WRITE, payload: Buffer.from('mine') }));
    await first.optionReplies();
    await first.reply();
    const other = await secured(keyOf('node2', psk.get('node2')!));
    other.send(option(7, infoRequest('n1')));
    expect((await other.optionReplies())[0]!.data.toString()).toBe('disk "n1" is in use');
    const back = await secured(keyOf('node1', psk.get('node1')!));
    back.send(option(7, infoRequest('n1')), request({ type: READ, length: 4 }));
    await back.optionReplies();
    await first.ended;
    expect((await back.reply(4)).data.toString()).toBe('mine');
    expect(disk.journal.filter((line) => line.startsWith('open'))).toEqual([
      'open 127.0.0.1 node1',
      'open 127.0.0.1 node1',
    ]);
  });
});

describe('the way there', () => {
  test('required: nothing is told in the open, and EXPORT_NAME is the end', async () => {
    await start();
    const client = await RawClient.open(server.port);
    await client.take(18);
    client.send(CLIENT_FLAGS);
    const open = [
      option(3),
      option(6, infoRequest('n1')),
      option(7, infoRequest('n1')),
      option(8),
      option(77),
    ];
    for (const one of open) {
      client.send(one);
      expect((await client.optionReplies()).map(({ type }) => type)).toEqual([TLS_REQUIRED]);
    }
    client.send(option(1, Buffer.from('n1')));
    await client.ended;
    expect(events.map(({ step, reason }) => [step, reason])).toEqual([['refused', 'tls-required']]);
    const leaving = await RawClient.open(server.port);
    await leaving.take(18);
    leaving.send(CLIENT_FLAGS, option(2));
    expect((await leaving.optionReplies())[0]!.type).toBe(1);
    await leaving.ended;
    expect(disk.journal).toEqual([]);
  });

  test('allowed: in the open by address, over TLS by name', async () => {
    await start({ mode: 'allowed' });
    const client = await RawClient.attach(server.port, 'n1');
    expect(server.connections()[0]!.identity).toBeUndefined();
    client.send(request({ type: DISC }));
    await client.ended;
    await eventually(() => expect(server.connections()).toEqual([]));
    expect(await openAs(certificateOf(node1))).toBe('node1');
  });

  test('what was agreed on in the open is forgotten', async () => {
    await start({ mode: 'allowed' });
    const plain = await RawClient.open(server.port);
    await plain.take(18);
    plain.send(CLIENT_FLAGS, option(8));
    await plain.optionReplies();
    plain.send(option(5));
    await plain.optionReplies();
    plain.socket.removeAllListeners('data');
    const tls = connect({ socket: plain.socket, rejectUnauthorized: false, ...certificateOf(node1) });
    await new Promise((resolve) => tls.once('secureConnect', resolve));
    const client = RawClient.on(tls);
    client.send(option(5), option(7, infoRequest('n1')), request({ type: READ, length: 7 }));
    expect((await client.optionReplies())[0]!.type).toBe(0x80000003);
    await client.optionReplies();
    expect((await client.reply(7)).data.toString()).toBe('content');
  });

  test('options slipped in behind STARTTLS are not obeyed: the end', async () => {
    await start();
    const client = await RawClient.open(server.port);
    await client.take(18);
    client.send(CLIENT_FLAGS, option(5), option(7, infoRequest('n1')));
    await client.ended;
    expect(server.stats()['dropped.option']).toBe(1);
    expect(disk.journal).toEqual([]);
  });

  test('a client that has gone by the time its STARTTLS is read leaves nothing behind', async () => {
    const catalog = new MemoryCatalog([new MemoryDisk('n1', MIB)]);
    let refuse = (_: { refused: 'busy'; why: string }): void => {};
    const opening = vi.spyOn(catalog, 'open').mockReturnValue(
      new Promise((resolve) => {
        refuse = resolve;
      }),
    );
    await start({ mode: 'allowed' }, { catalog });
    const client = await RawClient.open(server.port);
    await client.take(18);
    client.send(CLIENT_FLAGS, option(7, infoRequest('n1')), option(5));
    await eventually(() => expect(opening).toHaveBeenCalled());
    client.socket.resetAndDestroy();
    await client.ended;
    for (let turns = 0; turns < 20; turns++) await setImmediate();
    refuse({ refused: 'busy', why: 'another has it' });
    await eventually(() => expect(server.connections()).toEqual([]));
  });

  test('a client that leaves in mid-handshake, talks nonsense there, or says nothing', async () => {
    await start({}, { handshakeTimeoutMs: 300 });
    const leaving = await granted();
    leaving.socket.destroy();
    await eventually(() => expect(server.stats()['dropped.tls']).toBe(1));
    const babbling = await granted();
    babbling.send(option(7, infoRequest('n1')));
    await babbling.ended;
    await eventually(() => expect(server.stats()['dropped.tls']).toBe(2));
    const silent = await granted();
    await silent.ended;
    await eventually(() => expect(server.stats()['dropped.timeout']).toBe(1));
    await eventually(() => expect(server.connections()).toEqual([]));
  });

  test('the longest payloads, and an end that keeps every reply', async () => {
    await start();
    const big = new MemoryDisk('big', 64 * MIB);
    await server.close();
    await start({}, { catalog: new MemoryCatalog([big]) });
    const client = await secured(certificateOf(node1));
    const payload = Buffer.alloc(32 * MIB, 'payload!');
    client.send(option(7, infoRequest('big')), request({ type: WRITE, offset: 32 * MIB, payload }));
    await client.optionReplies();
    await client.reply();
    client.send(request({ type: READ, offset: 32 * MIB, length: 32 * MIB }), request({ type: DISC }));
    expect((await client.reply(32 * MIB)).data.equals(payload)).toBe(true);
    await client.ended;
    await eventually(() => expect(server.stats()['detached.disconnect']).toBe(1));
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: a client that sends no more is answered what is under way',
    async (version) => {
      await start();
      let goOn = (): void => {};
      disk.gates.read = new Promise((resolve) => {
        goOn = resolve;
      });
      const client = await secured({ ...certificateOf(node1), maxVersion: version });
      client.send(option(7, infoRequest('n1')));
      await client.optionReplies();
      client.send(request({ type: READ, length: 7 }), request({ type: DISC }));
      client.socket.end();
      await eventually(() => expect(server.connections()[0]?.requests).toBe(2));
      await setTimeout(20);
      goOn();
      expect((await client.reply(7)).data.toString()).toBe('content');
      await client.ended;
      await eventually(() => expect(server.connections()).toEqual([]));
    },
  );

  test('without TLS: NBD_REP_ERR_POLICY, and the talk goes on', async () => {
    await start();
    await server.close();
    await start({}, { tls: undefined } as never);
    const client = await RawClient.open(server.port);
    await client.take(18);
    client.send(CLIENT_FLAGS, option(5), option(3));
    expect((await client.optionReplies())[0]!.type).toBe(0x80000002);
    expect((await client.optionReplies()).map(({ type }) => type)).toEqual([2, 1]);
  });

  test('a certificate that is none: the server does not start', async () => {
    await start();
    const bad = { ...x509, cert: 'no certificate' };
    await expect(
      NbdServer.start({ ...({} as NbdServerOptions), tls: { mode: 'required', x509: bad } }),
    ).rejects.toThrow();
  });
});

describe('real clients', () => {
  test('libnbd with certificates and with a key', async () => {
    await start();
    const uris = [
      `nbds://127.0.0.1:${server.port}/n1?tls-certificates=${node1}`,
      `nbds://node1@127.0.0.1:${server.port}/n1?tls-psk-file=${join(dir, 'psk/keys.psk')}`,
    ];
    for (const [i, uri] of uris.entries()) {
      const { stdout } = await run('nbdinfo', ['--json', uri]);
      expect(JSON.parse(stdout)).toMatchObject({ TLS: true, exports: [{ 'export-size': MIB }] });
      const out = join(dir, `out${i}`);
      await run('nbdcopy', ['--connections=4', uri, out]);
      expect(readFileSync(out).equals(disk.content)).toBe(true);
    }
    expect(new Set(disk.journal.filter((line) => line.startsWith('open')))).toEqual(
      new Set(['open 127.0.0.1 node1']),
    );
    const plain = await run('nbdinfo', [`nbd://127.0.0.1:${server.port}/n1`]).catch((error) => error);
    expect(plain.stderr).toMatch(/server replied with error to opt_go/);
    const wrong = strangers.issue('client', '/CN=node1');
    await expect(
      run('nbdinfo', [`nbds://127.0.0.1:${server.port}/n1?tls-certificates=${wrong}`]),
    ).rejects.toThrow();
  });

  test('qemu with certificates and with a key', async () => {
    await start();
    const image = `driver=nbd,host=127.0.0.1,port=${server.port},export=n1,tls-creds=t`;
    for (const object of [
      `tls-creds-x509,id=t,endpoint=client,dir=${node1}`,
      `tls-creds-psk,id=t,endpoint=client,dir=${join(dir, 'psk')},username=node1`,
    ]) {
      const { stdout } = await run('qemu-img', [
        'info',
        '--object',
        object,
        '--output=json',
        '--image-opts',
        image,
      ]);
      expect(JSON.parse(stdout)).toMatchObject({ 'virtual-size': MIB });
      const io = ['-c', 'write -P 9 4k 8k', '-c', 'read -P 9 4k 8k', '-c', 'flush'];
      const text = (await run('qemu-io', ['--object', object, '--image-opts', image, ...io])).stdout;
      expect(text).not.toContain('failed');
      expect(disk.content.subarray(4096, 12_288).every((byte) => byte === 9)).toBe(true);
      disk.content.fill(0);
    }
  });

  test('nbd-client with a certificate', async () => {
    await start();
    const files = [
      '-certfile',
      'client-cert.pem',
      '-keyfile',
      'client-key.pem',
      '-cacertfile',
      'ca-cert.pem',
    ];
    const args = ['-l', '127.0.0.1', String(server.port), ...files, '-tlshostname', 'localhost'];
    const { stdout } = await run('nbd-client', args, { cwd: node1 });
    expect(stdout).toMatch(/^n1$/m);
    expect(server.stats().secured).toBe(1);
  });
});
