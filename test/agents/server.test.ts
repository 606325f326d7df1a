import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { encodeFrame } from '../../agent/protocol/frame.ts';
import type { AgentMessage, Flash } from '../../agent/protocol/messages.ts';
import { Directory } from '../../imager/agents/directory.ts';
import { Echo } from '../../imager/agents/echo.ts';
import type { AgentServerOptions } from '../../imager/agents/options.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { startFault } from '../../imager/service/start-fault.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { admissionsOf } from './admissions.ts';
import { TestAgent } from './client.ts';
import { startEndpoint } from './endpoint.ts';
import { hello, POINTER } from './hello.ts';

const nodes = new NodeIndex([
  { name: 'node1', hostname: 'node1', uid: 'serial:n1', address: '127.0.0.1' },
  { name: 'node2', hostname: 'node2', mac: '52:54:00:00:00:02' },
]);
const request = { image: 'b', disks: ['d2'], imagers: ['127.0.0.1'], cluster: 'demo', deployment: 'd2' };

/** Addresses that node2 has from the pool. */
const leased = new Set(['127.0.0.1', '127.0.0.20']);
const directoryOf = (from: MemoryRegistry) => new Directory(from, (node) => nodes.byName(node) !== undefined);

let registry: MemoryRegistry;
let server: AgentServer;
let told: EventLog;

async function start(changes: Partial<AgentServerOptions> = {}): Promise<void> {
  told = new EventLog();
  server = await startEndpoint(registry, told.sink, {
    nodes,
    directory: directoryOf(registry),
    admissions: await admissionsOf(registry, ['node1', 'node2']),
    isAt: (node, address) => (node === 'node2' ? leased.has(address) : address === '127.0.0.1'),
    ...changes,
  });
}

const agent = (localAddress?: string) => TestAgent.connect(server.port, localAddress);

beforeEach(async () => {
  registry = new MemoryRegistry();
  await start();
});
afterEach(() => server.close());

test('hello, steps with acknowledgements, events, ping', async () => {
  const one = await agent();
  expect(await one.greet()).toMatchObject({ type: 'welcome', node: 'node1', plan: { deployment: 'd1' } });
  one.send({ type: 'step', seq: 1, step: 'mounted', uptime: 3.25, detail: { device: '/dev/nbd0' } });
  one.send({ type: 'step', seq: 2, step: 'ready', uptime: 4 });
  one.send({ type: 'heartbeat', adapters: [] });
  expect([await one.next(), await one.next(), await one.next()]).toEqual([
    { type: 'ack', seq: 1 },
    { type: 'ack', seq: 2 },
    { type: 'pong' },
  ]);
  expect(told.events.map(({ component, step, node, detail }) => ({ component, step, node, detail }))).toEqual(
    [
      {
        component: 'agent',
        step: 'define',
        node: 'node1',
        detail: { uid: 'serial:n1', definition: expect.any(String), number: 1 },
      },
      {
        component: 'agent',
        step: 'hello',
        node: 'node1',
        detail: { by: 'uid', bootId: 'boot-1', bootedImage: 'base', deployment: 'd1', uptime: 2.5 },
      },
      { component: 'agent', step: 'mounted', node: 'node1', detail: { device: '/dev/nbd0', uptime: 3.25 } },
      { component: 'agent', step: 'ready', node: 'node1', detail: { uptime: 4 } },
    ],
  );
  expect(server.connected()).toMatchObject([{ node: 'node1', address: '127.0.0.1' }]);
});

test('a node that goes away while its hello is being stored: first hello, then its end', async () => {
  await server.close();
  let store = () => {};
  const stored = new Promise<void>((resolve) => {
    store = resolve;
  });
  const slow = new MemoryRegistry();
  const transact = slow.transact.bind(slow);
  slow.transact = async (work) => {
    await stored;
    return transact(work);
  };
  await start({ directory: directoryOf(slow) });
  const one = await agent();
  one.send(hello());
  await one.next();
  one.raw.resetAndDestroy();
  await told.seen('disconnect');
  store();
  while (slow.revision() === 0) await new Promise(setImmediate);
  await server.close();
  expect(told.events.map(({ step }) => step)).toEqual(['define', 'hello', 'disconnect']);
});

test('as many agents as there are nodes are taken, however many strangers there are', async () => {
  await server.close();
  const many = Array.from({ length: 1100 }, (_, at) => ({
    name: `n${at}`,
    hostname: `n${at}`,
    uid: `serial:${at}`,
  }));
  await start({ nodes: new NodeIndex(many) });
  // Connections count before their handshake, which would take seconds for so many.
  const strangers = Array.from({ length: 1100 }, (_, at) => {
    const localAddress = `127.0.1.${1 + (at >> 3)}`;
    return connect({ port: server.port, host: '127.0.0.1', localAddress }).on('error', () => {});
  });
  await Promise.all(strangers.map((socket) => once(socket, 'connect')));
  const last = await agent('127.0.2.1');
  last.send({ type: 'heartbeat', adapters: [] });
  expect(await last.next()).toBeUndefined();
  expect([server.stats()['dropped.too-many-connections'], server.stats()['dropped.no-hello']]).toEqual([
    undefined,
    1,
  ]);
  for (const socket of strangers) socket.destroy();
});

test('a step sent again after a reconnection, even to another imager, is acknowledged and not told twice', async () => {
  const one = await agent();
  await one.greet();
  one.send({ type: 'step', seq: 1, step: 'mounted', uptime: 3 });
  await one.next();
  await one.close();
  await server.close();
  await start();
  const again = await agent();
  await again.greet();
  again.send({ type: 'step', seq: 1, step: 'mounted', uptime: 3 });
  again.send({ type: 'step', seq: 2, step: 'ready', uptime: 4 });
  expect([await again.next(), await again.next()]).toEqual([
    { type: 'ack', seq: 1 },
    { type: 'ack', seq: 2 },
  ]);
  expect(told.events.map((event) => event.step)).toEqual(['hello', 'ready']);
  const next = await agent();
  await next.greet({ bootId: 'boot-2' });
  next.send({ type: 'step', seq: 1, step: 'mounted', uptime: 3 });
  expect(await next.next()).toEqual({ type: 'ack', seq: 1 });
  const record = directoryOf(registry).get('node1');
  expect(record?.boots.map(({ bootId, steps }) => [bootId, steps.map(({ step }) => step)])).toEqual([
    ['boot-1', ['mounted', 'ready']],
    ['boot-2', ['mounted']],
  ]);
});

test('a step whose record cannot be made durable is not acknowledged, and is taken when sent again', async () => {
  const one = await agent();
  await one.greet();
  one.send({ type: 'heartbeat', adapters: [] });
  await one.next();
  const transact = registry.transact.bind(registry);
  registry.transact = () => Promise.reject(new Error('disk full'));
  one.send({ type: 'step', seq: 1, step: 'mounted', uptime: 3 });
  expect(await one.next()).toBeUndefined();
  registry.transact = transact;
  const again = await agent();
  await again.greet();
  again.send({ type: 'step', seq: 1, step: 'mounted', uptime: 3 });
  expect(await again.next()).toEqual({ type: 'ack', seq: 1 });
  expect(told.events.filter((event) => event.step === 'mounted')).toHaveLength(1);
});

test.each([
  ['unknown-node', hello({ uid: 'serial:zz', macs: [] }), '127.0.0.1'],
  ['address', hello(), '127.0.0.9'],
  ['version', hello({ version: 9 }), '127.0.0.1'],
  ['no-lease', hello({ uid: 'serial:evil', macs: ['52:54:00:00:00:02'] }), '127.0.0.66'],
])('refused with its reason: %s', async (reason, message, from) => {
  const stranger = await agent(from);
  stranger.send(message);
  expect(await stranger.next()).toMatchObject({ type: 'refuse' });
  expect(await stranger.next()).toBeUndefined();
  expect(await told.seen('refused')).toMatchObject({ reason, address: from });
  expect(server.stats()).toMatchObject({ [`dropped.${reason}`]: 1 });
  expect(server.gauges().nodes).toBe(0);
});

test('a stranger that says the MAC of a node without an address of its own does not take its place', async () => {
  const one = await agent('127.0.0.20');
  const two = { uid: 'serial:q', macs: ['52:54:00:00:00:02'] };
  expect(await one.greet(two)).toMatchObject({ type: 'welcome', node: 'node2' });
  const stranger = await agent('127.0.0.66');
  expect(await stranger.greet(two)).toMatchObject({ type: 'refuse' });
  expect(server.connected()).toMatchObject([{ node: 'node2', address: '127.0.0.20' }]);
});

test('a hello that names the disk of another node is an event and gains nothing', async () => {
  const one = await agent();
  await one.greet();
  const two = await agent();
  expect(await two.greet({ uid: 'serial:q', macs: ['52:54:00:00:00:02'] })).toMatchObject({
    type: 'welcome',
  });
  expect(await told.seen('claim')).toMatchObject({
    component: 'agent',
    node: 'node2',
    reason: 'disk-of-other',
    detail: { disk: 'node1-root', owner: 'node1' },
  });
  expect(directoryOf(registry).ownerOf('node1-root')).toBe('node1');
  expect(server.stats()).toMatchObject({ 'refused.disk-of-other': 1 });
});

test('a new connection of a node replaces the old one, which loses what was pushed to it', async () => {
  const old = await agent();
  await old.greet();
  const lost = expect(server.flash('node1', request)).rejects.toMatchObject({ reason: 'disconnected' });
  const fresh = await agent();
  expect(await fresh.greet()).toMatchObject({ type: 'welcome' });
  expect(await old.next()).toMatchObject({ type: 'flash' });
  expect(await old.next()).toMatchObject({ type: 'replaced' });
  await old.close();
  await lost;
  expect(server.connected()).toHaveLength(1);
  fresh.send({ type: 'heartbeat', adapters: [] });
  expect(await fresh.next()).toEqual({ type: 'pong' });
});

async function flashed(answer: (push: Flash) => AgentMessage): Promise<unknown> {
  const one = await agent();
  await one.greet();
  const result = server.flash('node1', request).catch((error: unknown) => error);
  const push = await one.asked('flash');
  expect(push).toMatchObject(request);
  one.send(answer(push));
  return result;
}

test('flash resolves with the pointer read back, which is kept', async () => {
  const written = { ...POINTER, ...request, sequence: 2, phase: 'deploy' as const };
  expect(await flashed((push) => ({ type: 'done', request: push.request, pointer: written }))).toEqual({
    old: POINTER,
    pointer: written,
  });
  expect(directoryOf(registry).get('node1')?.pointer).toEqual(written);
  expect(directoryOf(registry).ownerOf('d2')).toBe('node1');
});

test.each([{ ...POINTER, image: 'set-there', sequence: 2 }, null])(
  'the old pointer is what the agent says it was: %j',
  async (former) => {
    const pointer = { ...POINTER, ...request, sequence: 3, phase: 'deploy' as const };
    expect(await flashed((push) => ({ type: 'done', request: push.request, pointer, former }))).toEqual({
      old: former,
      pointer,
    });
  },
);

test('flash rejects what the agent says failed, and a confirmation of something else', async () => {
  expect(
    await flashed((push) => ({ type: 'failed', request: push.request, why: 'EEPROM: EIO' })),
  ).toMatchObject({ reason: 'refused', message: 'EEPROM: EIO' });
  expect(await flashed((push) => ({ type: 'done', request: push.request, pointer: POINTER }))).toMatchObject({
    reason: 'mismatch',
  });
});

const written = (disks: string[]) => ({ ...POINTER, ...request, disks, sequence: 2 });

test('of two flashes with one disk at the same moment one is refused, every time', async () => {
  const one = await agent();
  await one.greet({ pointer: null });
  const two = await agent('127.0.0.20');
  await two.greet({ uid: 'serial:q', macs: ['52:54:00:00:00:02'], pointer: null });
  const names = ['node1', 'node2'];
  for (let round = 0; round < 200; round++) {
    const disks = [`d${round}`];
    const order = round % 2 === 0 ? names : names.toReversed();
    const ends = Promise.allSettled(order.map((node) => server.flash(node, { ...request, disks })));
    const first = order[0] === 'node1' ? one : two;
    const push = await first.asked('flash');
    first.send({ type: 'done', request: push.request, pointer: written(disks) });
    const [won, lost] = await ends;
    expect(won).toMatchObject({ status: 'fulfilled', value: { pointer: { disks } } });
    expect(lost).toMatchObject({
      status: 'rejected',
      reason: {
        reason: 'conflict',
        message: expect.stringContaining(`disk d${round} is ${order[0]}'s: flash that to another disk first`),
      },
    });
    expect(directoryOf(registry).ownerOf(`d${round}`)).toBe(order[0]);
  }
});

test('a disk stays claimed unless the node is known not to have been flashed with it', async () => {
  await server.close();
  await start({ pushMs: 300 });
  const one = await agent();
  await one.greet({ pointer: null });
  const flash = (disk: string) => server.flash('node1', { ...request, disks: [disk] });
  const owner = () => directoryOf(registry).ownerOf('x');
  const failed = expect(flash('x')).rejects.toMatchObject({ reason: 'refused' });
  await expect(flash('y')).rejects.toMatchObject({
    reason: 'conflict',
    message: 'node1 is being flashed already',
  });
  const push = await one.asked('flash');
  expect(owner()).toBe('node1');
  one.send({ type: 'failed', request: push.request, why: 'EEPROM: EIO' });
  await failed;
  // It may have failed to read back what it has written.
  expect(owner()).toBe('node1');
  const untouched = expect(flash('z')).rejects.toMatchObject({ reason: 'refused', untouched: true });
  const { request: second } = await one.asked('flash');
  one.send({ type: 'failed', request: second, why: 'not what was signed', untouched: true });
  await untouched;
  expect(directoryOf(registry).ownerOf('z')).toBeUndefined();
  expect(owner()).toBe('node1');
  await expect(flash('x')).rejects.toMatchObject({ reason: 'deadline' });
  expect(owner()).toBe('node1');
  const again = await agent();
  await again.greet({ pointer: null });
  await eventually(() => expect(owner()).toBeUndefined());
});

test('flash to nobody, and to an agent that never answers', async () => {
  await expect(server.flash('node2', request)).rejects.toMatchObject({ reason: 'not-connected' });
  await server.close();
  await start({ pushMs: 30 });
  const one = await agent();
  await one.greet();
  await expect(server.power('node1', 'reboot')).rejects.toMatchObject({ reason: 'deadline' });
  const push = await one.asked('power');
  one.send({ type: 'done', request: push.request });
  one.send({ type: 'heartbeat', adapters: [] });
  await one.next();
  expect(server.stats()).toMatchObject({ 'ignored.late-answer': 1 });
});

test('one node cannot answer for another', async () => {
  const one = await agent();
  const two = await agent();
  await one.greet();
  await two.greet({ uid: 'serial:zz', macs: ['52:54:00:00:00:02'] });
  const power = server.power('node1', 'poweroff');
  const push = await one.asked('power');
  expect(push.action).toBe('poweroff');
  two.send({ type: 'failed', request: push.request, why: 'not mine' });
  two.send({ type: 'heartbeat', adapters: [] });
  await two.next();
  one.send({ type: 'done', request: push.request });
  await power;
});

test('deadlines: no hello, and silence after it', async () => {
  await server.close();
  await start({ helloMs: 600, idleMs: 600 });
  const mute = await agent();
  expect(await mute.next()).toBeUndefined();
  expect(told.events).toMatchObject([
    { reason: 'hello-deadline', detail: { why: 'no welcome within 0.6 s (from the address of node1)' } },
  ]);
  const one = await agent();
  await one.greet();
  expect(await one.next()).toBeUndefined();
  expect(server.stats()).toMatchObject({ 'dropped.hello-deadline': 1, 'closed.silent': 1 });
});

test('a node is not silent while the imager is busy with what it said', async () => {
  await server.close();
  const slow = new MemoryRegistry();
  const transact = slow.transact.bind(slow);
  await start({ directory: directoryOf(slow), idleMs: 300 });
  const one = await agent();
  await one.greet();
  slow.transact = async (work) => {
    await new Promise((passed) => setTimeout(passed, 900));
    return transact(work);
  };
  one.send({ type: 'step', seq: 1, step: 'mounted', uptime: 3.25 });
  expect(await one.next()).toEqual({ type: 'ack', seq: 1 });
  // Silent from here on.
  expect(await one.next()).toBeUndefined();
  expect(server.stats()).toMatchObject({ 'closed.silent': 1 });
});

test('connection limits: of the endpoint and of an address', async () => {
  const some = await Promise.all(Array.from({ length: 8 }, () => agent()));
  const ninth = await agent();
  expect(await ninth.next()).toBeUndefined();
  expect(await some[0]!.greet()).toMatchObject({ type: 'welcome' });
  expect(server.stats()).toMatchObject({ 'dropped.too-many-per-address': 1 });
  await server.close();
  await start({ maxConnections: 1 });
  await agent();
  await expect(agent()).rejects.toThrow('disconnected before secure TLS connection');
  expect(server.stats()).toMatchObject({ 'dropped.too-many-connections': 1 });
});

test.each([
  ['frame', Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
  ['frame', Uint8Array.of(0, 0, 0, 2, 0x62, 0x61)],
  ['message', encodeFrame({ type: 'hello', version: 'one' })],
  ['no-hello', encodeFrame({ type: 'heartbeat', adapters: [] })],
  ['no-hello', Buffer.concat([Uint8Array.of(0, 1, 0, 0), new Uint8Array(100_000)])],
])('bytes that are no agent: %s', async (reason, bytes) => {
  const stranger = await agent();
  stranger.socket.write(bytes);
  expect(await stranger.next()).toBeUndefined();
  expect(server.stats()).toMatchObject({ [`dropped.${reason}`]: 1 });
});

test('mutated conversations never stop the endpoint', async () => {
  const talk = Buffer.concat([
    encodeFrame(hello()),
    encodeFrame({ type: 'step', seq: 1, step: 'mounted', uptime: 3 }),
    encodeFrame({ type: 'done', request: 1, pointer: POINTER }),
  ]);
  const edits = fc.array(fc.tuple(fc.nat(talk.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(edits, fc.nat(talk.length), async (changes, cut) => {
      const bytes = Buffer.from(talk);
      for (const [at, value] of changes) bytes[at] = value;
      const stranger = await agent();
      stranger.socket.end(bytes.subarray(0, cut === 0 ? talk.length : cut));
      while ((await stranger.next()) !== undefined);
    }),
    { numRuns: 300, interruptAfterTimeLimit: 5000 },
  );
  const one = await agent();
  expect(await one.greet()).toMatchObject({ type: 'welcome' });
});

test('undefined while it is being defined: what was begun is over first, and the node does not stay', async () => {
  const one = await agent();
  one.send(hello({ keeps: true }));
  const asked = await one.asked('identify');
  const undefining = server.undefine('node1');
  one.send({ type: 'identified', request: asked.request, uid: 'serial:n1', local: null });
  const commit = await one.asked('commit');
  one.send({ type: 'done', request: commit.request });
  // Its welcome may be on its way already; then it is asked to forget what it has just kept.
  for (let said = await one.next(); said !== undefined; said = await one.next())
    if (said.type === 'erase') one.send({ type: 'failed', request: said.request, why: 'EIO' });
  expect(await undefining).toEqual({ defined: true, erased: false });
  expect(server.connected()).toEqual([]);
  // It has a key that is good for one thing: to be told to forget it.
  const { definition } = commit;
  const again = await TestAgent.connect(server.port, '127.0.0.1', {
    identity: definition.id,
    key: definition.key,
  });
  const { id, number, name, uid, cluster } = definition;
  again.send(hello({ keeps: true, local: { id, number, name, uid, cluster: cluster.id } }));
  expect(await again.next()).toMatchObject({ type: 'erase', definition: id });
});

describe('where the datagrams of its port are of another', () => {
  test('it does not start, lets go of the port, and says which protocol it is', async () => {
    // Nobody else's: of the same number, its TCP port is free.
    const address = '127.83.0.1';
    const other = createSocket('udp4').bind(0, address);
    await once(other, 'listening');
    const { port } = other.address();
    const fault: NodeJS.ErrnoException = await start({ address, port }).catch((error) => error);
    expect(startFault(fault, 'agent', { address, port, setting: 'ports.agent' })).toBe(
      `cannot start agent on UDP port ${port} of ${address}: the port is in use: ` +
        `find by whom with "ss -lnup sport = :${port}", or set ports.agent`,
    );
    const [refused] = await once(connect(port, address), 'error');
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    other.close();
  });

  test('another port is taken where the system chooses', async () => {
    await server.close();
    const taken = Object.assign(new Error('bind EADDRINUSE'), { code: 'EADDRINUSE', syscall: 'bind' });
    const listen = vi.spyOn(Echo, 'start').mockRejectedValueOnce(taken);
    await start();
    expect(listen).toHaveBeenCalledTimes(2);
    listen.mockRestore();
    expect(await (await agent()).greet()).toMatchObject({ type: 'welcome' });
  });
});
