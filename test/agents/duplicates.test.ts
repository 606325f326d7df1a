/** Two agents that speak for one node, and one that comes twice. */
import { once } from 'node:events';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { helloMaker } from '../../agent/linux/hello.ts';
import { AgentLink } from '../../agent/linux/link.ts';
import { Membership } from '../../agent/linux/membership.ts';
import { Connection } from '../../imager/agents/connection.ts';
import { Duplicates } from '../../imager/agents/duplicates.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import type { Definitions } from '../../imager/definitions/store.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { ENROL } from '../support/secure.ts';
import { admissionsOf } from './admissions.ts';
import { TestAgent } from './client.ts';
import { startEndpoint } from './endpoint.ts';

const HOME = '127.0.0.1';
const ELSEWHERE = '127.0.0.9';

let server: AgentServer;
let told: EventLog;
let definitions: Definitions;
let logged: string[];

beforeEach(async () => {
  told = new EventLog();
  logged = [];
  const registry = new MemoryRegistry();
  const admissions = await admissionsOf(registry, ['node1']);
  definitions = admissions.definitions;
  server = await startEndpoint(registry, told.sink, {
    // Wherever it comes from.
    nodes: new NodeIndex([{ name: 'node1', hostname: 'node1', uid: 'serial:n1' }]),
    admissions,
    log: pino({ level: 'info' }, { write: (line: string) => void logged.push(line) }),
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
});

const agent = (from: string) => TestAgent.connect(server.port, from);

test('the one that loses its place hears of it; that they are two is told once, with both addresses', async () => {
  let present = await agent(HOME);
  await present.greet();
  for (const address of [ELSEWHERE, HOME, ELSEWHERE]) {
    const next = await agent(address);
    await next.greet();
    expect(await present.next()).toEqual({
      type: 'replaced',
      why: `another agent has the place of node1, at ${address}`,
    });
    present.socket.end();
    present = next;
  }
  await eventually(() => expect(server.stats()).toMatchObject({ duplicate: 3 }));
  expect(told.events.filter(({ step }) => step === 'duplicate')).toMatchObject([
    {
      component: 'imager',
      node: 'node1',
      address: ELSEWHERE,
      detail: { addresses: `${HOME}, ${ELSEWHERE}` },
    },
  ]);
  expect(server.troubles('node1').duplicate).toMatchObject({ addresses: [HOME, ELSEWHERE] });
  expect(logged.filter((line) => line.includes('two agents speak'))).toHaveLength(1);
});

test.each([
  ['undefined', () => server.undefine('node1')],
  [
    'defined anew',
    async () => {
      await definitions.close('node1');
      await definitions.want('node1');
      const anew = await agent(HOME);
      expect(await anew.greet()).toMatchObject({ type: 'welcome' });
    },
  ],
])('that they were two is settled once the node is %s', async (_, settle) => {
  const first = await agent(HOME);
  await first.greet();
  const second = await agent(ELSEWHERE);
  await second.greet();
  expect(await first.next()).toMatchObject({ type: 'replaced' });
  first.socket.end();
  await told.seen('duplicate');
  await second.close();
  expect(server.troubles('node1').duplicate).toMatchObject({ addresses: [HOME, ELSEWHERE] });
  await settle();
  expect(server.troubles('node1').duplicate).toBeNull();
});

test('one that has gone without a word, and came again, is one', async () => {
  const gone = await agent(HOME);
  await gone.greet();
  const closed = once(gone.raw, 'close');
  const fresh = await agent(HOME);
  await fresh.greet();
  await closed;
  expect(told.events.map(({ step }) => step)).not.toContain('duplicate');
  expect(server.troubles('node1').duplicate).toBeNull();
});

test('one that connects anew is one: its former connection ends without a word', async () => {
  const former = await agent(HOME);
  await former.greet({ instance: 'a' });
  const moved = await agent(ELSEWHERE);
  expect(await moved.greet({ instance: 'a' })).toMatchObject({ type: 'welcome' });
  expect(await former.next()).toBeUndefined();
  expect(server.connected()).toMatchObject([{ node: 'node1', address: ELSEWHERE }]);
  expect(server.stats()).not.toHaveProperty('duplicate');
  const twin = await agent(HOME);
  await twin.greet({ instance: 'b' });
  expect(await moved.next()).toMatchObject({ type: 'replaced' });
  moved.socket.end();
  await told.seen('duplicate');
});

test('the link of an agent that connects anew is one', async () => {
  const dismissed = vi.spyOn(Connection.prototype, 'dismiss');
  const host = new QuietHost();
  const member = new Membership('serial:n1', undefined);
  const boot = { uid: 'serial:n1', bootId: 'b', bootedImage: 'base' };
  const hellos = helloMaker(host, boot, member, undefined);
  const idle = () => {
    throw new Error('not in this test');
  };
  const link = new AgentLink(host, [{ address: HOME, port: server.port }], boot, hellos, {
    ...{ secret: () => ENROL, cluster: () => 'one', named: () => {}, flash: idle, power: idle },
    member: (request) => member.answer(request),
  });
  void link.serve();
  await eventually(() => expect(link.connectedSince).toBeDefined());
  expect(await link.renew()).toBe('welcomed');
  await told.seen('hello', 2);
  expect(dismissed).not.toHaveBeenCalled();
  // Another that starts is another, also on the same machine.
  expect(helloMaker(host, boot, member, undefined)().instance).not.toBe(hellos().instance);
  host.sleep = () => new Promise(() => {});
});

test("a spell is over when neither took the other's place for half an hour", () => {
  const duplicates = new Duplicates();
  const minutes = (n: number) => n * 60_000;
  expect(duplicates.note('n', 'a', 'b', minutes(0))).toBe(true);
  expect(duplicates.note('n', 'b', 'a', minutes(10))).toBe(false);
  expect(duplicates.note('n', 'a', 'c', minutes(39))).toBe(false);
  expect(duplicates.of('n', minutes(60))).toEqual({
    addresses: ['a', 'b', 'c'],
    since: 0,
    at: minutes(39),
  });
  expect(duplicates.of('n', minutes(70))).toBeNull();
  expect(duplicates.note('n', 'a', 'b', minutes(70))).toBe(true);
  expect(duplicates.of('n', minutes(70))).toEqual({
    addresses: ['a', 'b'],
    since: minutes(70),
    at: minutes(70),
  });
});
