/** Who is not let in at the agent port, and that it is said: on real sockets, with Node's and OpenSSL's TLS. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Secret } from '../../agent/linux/host.ts';
import { ENROL_IDENTITY, ENROLMENT_KEY } from '../../agent/protocol/enrolment.ts';
import { encodeFrame } from '../../agent/protocol/frame.ts';
import type { LocalDefinition } from '../../agent/protocol/membership.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { listening } from '../support/listening.ts';
import { resetUnseen } from '../support/reset-unseen.ts';
import { connectSecure } from '../support/secure.ts';
import { admissionsOf, define } from './admissions.ts';
import { TestAgent } from './client.ts';
import { startEndpoint } from './endpoint.ts';
import { hello } from './hello.ts';

/** Who node1 is, once it is defined. */
let defined: Secret;
let local: LocalDefinition;
let server: AgentServer;
let log: EventLog;

beforeEach(async () => {
  log = new EventLog();
  const registry = new MemoryRegistry();
  const admissions = await admissionsOf(registry, ['node1']);
  const node1 = { name: 'node1', uid: 'serial:n1', address: '127.0.0.1' };
  ({ secret: defined, local } = await define(admissions, node1));
  server = await startEndpoint(registry, log.sink, { admissions, helloMs: 500 });
});
afterEach(() => server.close());

/** The event of a refusal, when it has come, and that it is counted. */
async function refusal(reason: string): Promise<BootEvent> {
  const event = await log.seen(({ step, reason: why }) => step === 'refused' && why === reason);
  expect(server.stats()).toMatchObject({ [`dropped.${reason}`]: 1 });
  return event;
}

/** A connection without TLS. */
async function rawFrom(localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port: server.port, host: '127.0.0.1', localAddress });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** What gets a fault of TLS, and a reset behind it: by the time the fault is found it is not known whose it was. */
const TOO_LONG = Buffer.from([22, 3, 1, 0xff, 0xff, ...Array(16).fill(1)]);

test('who resets its connection before it was looked at is nobody, and refused to nobody', async () => {
  resetUnseen(server.port, TOO_LONG);
  const late = await rawFrom();
  late.write(TOO_LONG);
  late.resetAndDestroy();
  await eventually(() => expect(server.stats()['closed.in-handshake']).toBe(2));
  const heard = await rawFrom();
  heard.write(TOO_LONG);
  expect(await refusal('handshake')).toMatchObject({ address: '127.0.0.1' });
  heard.destroy();
  expect(log.events).toHaveLength(1);
});

test('a node that is defined is heard over its own key, and over no other', async () => {
  const agent = await TestAgent.connect(server.port, '127.0.0.1', defined);
  expect(await agent.greet({ local, keeps: true })).toMatchObject({ type: 'welcome' });
  await agent.close();
  for (const said of [{ local, keeps: true }, { keeps: true }, {}]) {
    const imposter = await TestAgent.connect(server.port);
    expect(await imposter.greet(said)).toMatchObject({ type: 'refuse' });
    await imposter.close();
  }
  expect(server.stats()).toMatchObject({ 'dropped.identity': 1, 'dropped.no-key': 2 });
  expect(log.events.filter(({ step }) => step === 'hello')).toHaveLength(1);
});

test('the identity of another with a key of its own', async () => {
  const key = defined.key.map((byte) => byte ^ 1);
  await expect(connectSecure({ port: server.port }, { ...defined, key })).rejects.toThrow();
  expect(await refusal('wrong-key')).toMatchObject({
    component: 'agent',
    address: '127.0.0.1',
    detail: { why: `the key is not that of "${defined.identity}"` },
  });
});

test('an image, or an agent of a system, without the key of enrolment of the operator: where either has it from is said', async () => {
  const secret = { identity: ENROL_IDENTITY, key: defined.key };
  await expect(connectSecure({ port: server.port }, secret)).rejects.toThrow();
  const { detail } = await refusal('wrong-key');
  expect(detail).toEqual({
    why: expect.stringMatching(
      /agents\.enrolmentKey.* imager image build --enrolment-key, agent supervise .* --enrolment-key /,
    ),
  });
});

test('an identity nobody has, with characters for a terminal in it', async () => {
  const secret = { identity: 'some\u001b[2Jbody', key: ENROLMENT_KEY };
  await expect(connectSecure({ port: server.port }, secret)).rejects.toThrow();
  const { detail } = await refusal('unknown-identity');
  expect(detail).toEqual({
    why: '"some?[2Jbody" is no definition of this cluster (from the address of node1)',
  });
});

test('frames without TLS, and a page of the web', async () => {
  const agent = await rawFrom();
  agent.write(encodeFrame(hello()));
  expect(await refusal('plain')).toMatchObject({ address: '127.0.0.1' });
  const browser = await rawFrom();
  browser.write('GET / HTTP/1.1\r\n\r\n');
  while ((server.stats()['dropped.plain'] ?? 0) < 2) await log.next();
  agent.destroy();
  browser.destroy();
});

test('a handshake that is not gone on with: it is told, and the imager ends it', async () => {
  const silent = await rawFrom();
  const closed = once(silent, 'close');
  silent.resume();
  await refusal('handshake-deadline');
  await closed;
});

test('TLS 1.2; TLS 1.3 has a key exchange of its own for each connection', async () => {
  const client = (...args: string[]) =>
    new Promise<string>((resolve) => {
      const psk = ['-psk_identity', defined.identity, '-psk', Buffer.from(defined.key).toString('hex')];
      const to = ['s_client', '-connect', `127.0.0.1:${server.port}`, '-brief', ...psk, ...args];
      execFile('openssl', to, { timeout: 20_000 }, (_, out, errors) => resolve(out + errors)).stdin!.end();
    });
  expect(await client('-tls1_2')).toMatch(/alert protocol version/);
  expect(await client('-tls1_3')).toMatch(/Protocol version: TLSv1.3[\s\S]*Server Temp Key: X25519/);
  expect(server.stats()).toMatchObject({ 'dropped.handshake': 1 });
});

/** Passes on what comes; `change` may change what the imager is sent. */
async function between(change: (chunk: Buffer, client: Socket) => Buffer): Promise<number> {
  const proxy = createServer((client) => {
    const imager = connect(server.port, '127.0.0.1');
    client.on('data', (chunk) => imager.write(change(chunk, client)));
    imager.on('data', (chunk) => client.write(chunk));
    const end = (): void => {
      client.destroy();
      imager.destroy();
    };
    for (const socket of [client, imager]) socket.on('error', end).on('close', end);
  });
  proxy.unref();
  return listening(proxy);
}

test('what was recorded of an earlier connection, sent again', async () => {
  const recorded: Buffer[] = [];
  const port = await between((chunk) => {
    recorded.push(chunk);
    return chunk;
  });
  const agent = await TestAgent.connect(port, '127.0.0.1', defined);
  expect(await agent.greet({ local, keeps: true })).toMatchObject({ type: 'welcome' });
  await agent.close();
  log.events.length = 0;
  const again = await rawFrom();
  for (const chunk of recorded) again.write(chunk);
  await refusal('handshake');
  expect(log.events.map(({ step }) => step)).not.toContain('hello');
  again.destroy();
});

test('somebody in between who changes one bit of what a node says', async () => {
  let flip = false;
  const port = await between((chunk) => {
    if (flip) chunk[7]! ^= 0x10;
    return chunk;
  });
  const agent = await TestAgent.connect(port, '127.0.0.1', defined);
  expect(await agent.greet({ local, keeps: true })).toMatchObject({ type: 'welcome' });
  flip = true;
  agent.send({ type: 'step', seq: 1, step: 'ready', uptime: 3 });
  expect(await agent.next()).toBeUndefined();
  expect(await log.seen('disconnect')).toMatchObject({ node: 'node1', reason: 'tampered' });
  expect(log.events.map(({ step }) => step)).not.toContain('ready');
});

test('a rack of handshakes that never end does not keep nodes out', async () => {
  const stalled = await Promise.all(Array.from({ length: 40 }, () => rawFrom('127.0.0.9')));
  const refused = () => server.stats()['dropped.too-many-per-address'] ?? 0;
  while (refused() < 24) await log.next();
  const agent = await TestAgent.connect(server.port, '127.0.0.1', defined);
  expect(await agent.greet({ local, keeps: true })).toMatchObject({ type: 'welcome' });
  await agent.close();
  for (const socket of stalled) socket.destroy();
});
