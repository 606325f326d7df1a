/** What a node says it consists of, over a real socket: kept, told as an event, and refused where it is out of bounds. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RESOURCE_LIMITS } from '../../agent/protocol/resources.ts';
import { Directory } from '../../imager/agents/directory.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { EventLog } from '../support/event-log.ts';
import { TestAgent } from './client.ts';
import { startEndpoint } from './endpoint.ts';

let log: EventLog;
let directory: Directory;
let server: AgentServer;
let agent: TestAgent;

beforeEach(async () => {
  const registry = new MemoryRegistry();
  directory = new Directory(registry, () => true);
  log = new EventLog();
  server = await startEndpoint(registry, log.sink, { directory });
  agent = await TestAgent.connect(server.port);
});
afterEach(() => server.close());

const CARD = { kind: 'adapter' as const, key: '00:16:3e:00:00:01', fields: { name: 'eth1', mtu: 1500 } };

test('they are kept, and an event says what has changed', async () => {
  await agent.greet();
  agent.send({ type: 'resources', resources: [CARD], faults: [] });
  expect(await log.seen('resources')).toMatchObject({
    component: 'imager',
    node: 'node1',
    detail: { first: true, summary: '1 adapter' },
  });
  // The same again tells nobody anything.
  agent.send({ type: 'resources', resources: [CARD], faults: [] });
  agent.send({ type: 'resources', resources: [], faults: [] });
  expect(await log.seen('resources', 2)).toMatchObject({
    detail: { removed: 1, summary: `removed adapter ${CARD.key}` },
  });
  expect(directory.inventories.of('node1')).toMatchObject({
    last: { bootId: 'boot-1', resources: [] },
    previous: { resources: [CARD] },
  });
});

test.each([
  ['a name that no object should have', [{ ...CARD, fields: JSON.parse('{"__proto__": 1}') }]],
  ['a kind that is none', [{ ...CARD, kind: 'toaster' }]],
  ['a text too long', [{ ...CARD, fields: { name: 'x'.repeat(RESOURCE_LIMITS.text + 1) } }]],
  ['a number that is none', [{ ...CARD, fields: { mtu: Number.NaN } }]],
  ['no key', [{ ...CARD, key: '' }]],
  [
    'too many fields',
    [{ ...CARD, fields: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`f${at}`, 1])) }],
  ],
  [
    'too many of them',
    Array.from({ length: RESOURCE_LIMITS.resources + 1 }, (_, at) => ({ ...CARD, key: `k${at}` })),
  ],
])('%s ends the connection, and nothing is kept', async (_, resources) => {
  await agent.greet();
  agent.send({ type: 'resources', resources: resources as never, faults: [] });
  expect(await log.seen('disconnect')).toMatchObject({ reason: 'message' });
  expect(directory.inventories.of('node1').last).toBeNull();
});

test('of somebody who has not said who it is they are not taken', async () => {
  agent.send({ type: 'resources', resources: [CARD], faults: [] });
  expect(await log.seen('refused')).toMatchObject({ reason: 'no-hello' });
});
