/** A node whose key is on its disk, flashed to another one: who is defined in its place, and who not. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ImagerMessage } from '../../agent/protocol/messages.ts';
import { Directory } from '../../imager/agents/directory.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import type { Definitions } from '../../imager/definitions/store.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { EventLog } from '../support/event-log.ts';
import { admissionsOf } from './admissions.ts';
import { TestAgent } from './client.ts';
import { startEndpoint } from './endpoint.ts';
import { hello, POINTER } from './hello.ts';

const [FROM, TO] = ['root', 'next'];
const AFTER = { ...POINTER, disks: [TO], deployment: 'd2' };

let server: AgentServer;
let definitions: Definitions;
let log: EventLog;

beforeEach(async () => {
  log = new EventLog();
  const registry = new MemoryRegistry();
  const directory = new Directory(registry, () => true);
  const admissions = await admissionsOf(registry, ['node1']);
  definitions = admissions.definitions;
  server = await startEndpoint(registry, log.sink, { directory, admissions });
});
afterEach(() => server.close());

const agent = () => TestAgent.connect(server.port);

/** Does what its imager asks a new node; gives the last word: a welcome, or a refusal. */
async function defined(by: TestAgent, disk: string): Promise<ImagerMessage | undefined> {
  by.send(hello({ keeps: true, keptOn: disk, pointer: { ...POINTER, disks: [disk] } }));
  for (;;) {
    const word = await by.next();
    if (word?.type === 'identify')
      by.send({ type: 'identified', request: word.request, uid: 'serial:n1', local: null });
    else if (word?.type === 'commit') by.send({ type: 'done', request: word.request });
    else return word;
  }
}

/** node1 with its key on FROM, flashed to TO and not restarted yet. */
async function flashed(): Promise<TestAgent> {
  const node = await agent();
  expect(await defined(node, FROM)).toMatchObject({ type: 'welcome' });
  await log.seen('hello');
  const { disks, imagers, image, cluster, deployment } = AFTER;
  const flash = server.flash('node1', { disks, imagers, image, cluster, deployment });
  const { request } = await node.asked('flash');
  node.send({ type: 'done', request, pointer: AFTER });
  await flash;
  return node;
}

const present = () => definitions.ofNode('node1');

test.each([
  ['there', { type: 'identified', uid: 'serial:n1', local: null } as const],
  ['there, and cannot read what it keeps', { type: 'failed', why: 'its local store is damaged' } as const],
])(
  'while the node itself is %s, nobody is defined in its place, whatever disk he names',
  async (_, answer) => {
    const node = await flashed();
    const before = present();
    expect(before).toMatchObject({ state: 'defined', disk: FROM });
    const imposter = await agent();
    const refused = defined(imposter, TO);
    // The node is asked, and goes on as if nothing had been.
    const { request } = await node.asked('identify');
    node.send({ ...answer, request });
    expect(await refused).toMatchObject({ type: 'refuse' });
    expect(server.troubles('node1').refusals).toMatchObject([{ reason: 'no-key', as: 'claim' }]);
    expect(present()).toEqual(before);
    expect(server.connected()).toMatchObject([{ node: 'node1' }]);
  },
);

test('once it has gone it is defined on its new disk', async () => {
  const node = await flashed();
  const before = present();
  await node.close();
  await log.seen('disconnect');
  expect(await defined(await agent(), TO)).toMatchObject({ type: 'welcome' });
  expect(present()).toMatchObject({ state: 'defined', disk: TO, number: before!.number });
  expect(present()!.id).not.toBe(before!.id);
});

test('a connection that nobody answers any more keeps it from nothing', async () => {
  await flashed();
  // As after a power cut: the other end is open, and silent.
  expect(await defined(await agent(), TO)).toMatchObject({ type: 'welcome' });
  expect(present()).toMatchObject({ state: 'defined', disk: TO });
}, 15_000);

test('to any other disk than it was flashed with nobody is defined, nor is the node asked', async () => {
  const node = await flashed();
  expect(await defined(await agent(), 'another')).toMatchObject({ type: 'refuse' });
  await node.close();
  expect(await node.next()).toBeUndefined();
});
