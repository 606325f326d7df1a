/** What the imager says of who came in, and of who was not let in. */
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Secret } from '../../agent/linux/host.ts';
import { ENROLMENT_KEY } from '../../agent/protocol/enrolment.ts';
import type { LocalDefinition } from '../../agent/protocol/membership.ts';
import type { Admissions } from '../../imager/agents/admissions.ts';
import { Connection } from '../../imager/agents/connection.ts';
import { Directory } from '../../imager/agents/directory.ts';
import { Refusals } from '../../imager/agents/refusals.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import { entryFields } from '../../imager/cli/entry.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { connectSecure } from '../support/secure.ts';
import { admissionsOf, define } from './admissions.ts';
import { TestAgent } from './client.ts';
import { startEndpoint } from './endpoint.ts';
import { hello } from './hello.ts';

const HOME = '127.0.0.1';
const ELSEWHERE = '127.0.0.9';
const MAC = '52:54:00:77:00:11';

/** Who node1 is. */
let defined: Secret;
let local: LocalDefinition;
let server: AgentServer;
let directory: Directory;
let told: EventLog;
let admissions: Admissions;
let log: { level: number; msg: string }[];

beforeEach(async () => {
  told = new EventLog();
  log = [];
  const registry = new MemoryRegistry();
  directory = new Directory(registry, () => true);
  admissions = await admissionsOf(registry, ['node1', 'node2', 'node3']);
  const node1 = { name: 'node1', uid: 'serial:n1', address: HOME };
  ({ secret: defined, local } = await define(admissions, node1));
  const named = (name: string, uid: string) => ({ name, hostname: name, uid });
  server = await startEndpoint(registry, told.sink, {
    ...{ directory, admissions },
    nodes: new NodeIndex([
      { ...named('node1', 'serial:n1'), mac: MAC, address: HOME },
      named('node2', 'serial:n2'),
      { ...named('node3', 'serial:n3'), address: '127.0.0.3' },
    ]),
    log: pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line)) }),
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
});

const agent = (from = HOME, secret?: Secret) => TestAgent.connect(server.port, from, secret);

/** node1 itself, taken in. */
async function node1(): Promise<TestAgent> {
  const one = await agent(HOME, defined);
  expect(await one.greet({ local, keeps: true })).toMatchObject({ type: 'welcome' });
  return one;
}

const refusals = (node = 'node1') => server.troubles(node).refusals;

describe('somebody who is not let in', () => {
  test('with a definition nobody here has: from the address of a node, which need not be that node', async () => {
    const identity = 'd7a34ad0-3f0c-4b0c-8f7b-0a1b2c3d4e5f';
    await expect(connectSecure({ port: server.port }, { identity, key: ENROLMENT_KEY })).rejects.toThrow();
    const { node, address, detail } = await told.seen(({ reason }) => reason === 'unknown-identity');
    expect([node, address]).toEqual([undefined, HOME]);
    expect(detail?.why).toMatch(
      /^a node with an unknown definition from 127\.0\.0\.1: "d7a34ad0.*agent local erase.*\(from the address of node1\)$/,
    );
    expect(refusals()).toMatchObject([
      { reason: 'unknown-identity', as: 'address', address: HOME, count: 1 },
    ]);
    expect(log.map(({ msg }) => msg).join()).toContain(
      'agent refused: a node with an unknown definition from',
    );
  });

  test('with the identity of a node and another key: it says it is that node', async () => {
    const key = defined.key.map((byte) => byte ^ 1);
    const at = { port: server.port, localAddress: ELSEWHERE };
    await expect(connectSecure(at, { ...defined, key })).rejects.toThrow();
    await told.seen(({ reason }) => reason === 'wrong-key');
    expect(refusals()).toMatchObject([{ reason: 'wrong-key', as: 'claim', address: ELSEWHERE }]);
  });

  test('beside the node itself: its join stays what it was, and the imposter hears nothing of use', async () => {
    await node1();
    const joined = directory.get('node1');
    expect(joined).toMatchObject({ address: HOME, by: 'key', deeds: [] });
    for (let times = 1; times <= 2; times++) {
      const imposter = await agent(HOME);
      const answer = await imposter.greet({ keeps: true });
      expect(answer).toMatchObject({
        type: 'refuse',
        why: expect.stringMatching(/^it is not taken in: why/),
      });
      await imposter.close();
      expect(refusals()).toMatchObject([{ reason: 'no-key', as: 'claim', address: HOME, count: times }]);
    }
    expect(refusals()[0]?.why).toMatch(/only where you know that it did, imager node undefine/);
    expect(directory.get('node1')).toEqual(joined);
    const claims = told.events.filter(({ reason }) => reason === 'no-key');
    expect(claims.map(({ node }) => node)).toEqual([undefined, undefined]);
    // Each reason and address is logged once.
    expect(log.filter(({ msg }) => msg.startsWith('agent refused'))).toHaveLength(1);
  });

  test("with a UID that is nobody's, known by its MAC alone: it has not said to be the node, and both UIDs are told", async () => {
    const mistyped = await agent(HOME);
    const answer = await mistyped.greet({ uid: 'serial:typo', macs: [MAC], keeps: true });
    expect(answer).toMatchObject({ type: 'refuse', why: expect.not.stringContaining('serial:') });
    const { detail } = await told.seen(({ reason }) => reason === 'no-key');
    const uids = 'node1 is defined with UID serial:n1, and who came gave UID serial:typo: look at that first';
    expect(detail?.why).toContain(uids);
    expect(log.map(({ msg }) => msg).join()).toContain(`agent refused: ${uids}`);
    expect(refusals()).toMatchObject([{ reason: 'no-key', as: 'mac', why: detail?.why, address: HOME }]);
    const [, shown] = entryFields({ joined: null, duplicate: null, refusals: refusals() })[1]!;
    expect(shown).toContain(`, not known who, with its MAC, from ${HOME} (no-key): ${uids}`);
  });

  test('while the node is away, who says to be it may be it', async () => {
    const imposter = await agent(HOME);
    await imposter.greet({ keeps: true });
    expect(await told.seen(({ reason }) => reason === 'no-key')).toMatchObject({ node: 'node1' });
  });

  test('a node from another address than its own: under the node, as its own where it has its key', async () => {
    const moved = await agent(ELSEWHERE, defined);
    const answer = await moved.greet({ local, keeps: true });
    expect(answer).toMatchObject({ type: 'refuse', why: expect.stringContaining('has address 127.0.0.1') });
    const new3 = await agent(ELSEWHERE);
    await new3.greet({ uid: 'serial:n3' });
    await told.seen(({ node }) => node === 'node3');
    expect(refusals()).toMatchObject([{ reason: 'address', as: 'key', address: ELSEWHERE }]);
    expect(refusals('node3')).toMatchObject([{ reason: 'address', as: 'claim', address: ELSEWHERE }]);
    expect(told.events.map(({ node, reason }) => [node, reason])).toEqual([
      ['node1', 'address'],
      ['node3', 'address'],
    ]);
  });

  test('with a key that is deleted: what was the node once, which hears why, and not the node that has its place', async () => {
    await admissions.definitions.close('node1');
    const other = { name: 'node1', uid: 'serial:other', address: HOME };
    const theirs = await define(admissions, other);
    const successor = await agent(HOME, theirs.secret);
    const welcomed = await successor.greet({ uid: other.uid, local: theirs.local, keeps: true });
    expect(welcomed).toMatchObject({ type: 'welcome' });
    const old = await agent(ELSEWHERE, defined);
    old.send(hello({ local, keeps: true }));
    const erase = await old.asked('erase');
    expect(erase.definition).toBe(local.id);
    old.send({ type: 'done', request: erase.request });
    expect(await old.next()).toEqual({
      type: 'refuse',
      why: 'node1 was deleted from the cluster: its copy is erased',
    });
    // Not an event of the node that is connected.
    expect(await told.seen(({ reason }) => reason === 'erased')).not.toHaveProperty('node');
    expect(refusals()).toMatchObject([{ reason: 'erased', as: 'former', address: ELSEWHERE }]);
    expect(server.connected()).toMatchObject([{ node: 'node1', address: HOME }]);
  });

  test('of many, the last few are kept, and how often each came', () => {
    const kept = new Refusals();
    const refusal = { reason: 'no-key', why: 'w', as: 'claim' as const };
    for (let at = 1; at <= 40; at++) kept.note('n', { ...refusal, address: `10.0.0.${at % 10}` }, at);
    expect(kept.of('n').map(({ address, count, since, at }) => [address, count, since, at])).toEqual(
      [0, 9, 8, 7, 6, 5, 4, 3].map((last, n) => [
        `10.0.0.${last}`,
        expect.any(Number),
        expect.any(Number),
        40 - n,
      ]),
    );
    kept.note('n', { ...refusal, why: 'later', address: '10.0.0.5' }, 50);
    expect(kept.of('n')[0]).toMatchObject({ address: '10.0.0.5', why: 'later', at: 50 });
    expect(kept.of('n')[0]!.count).toBeGreaterThan(1);
    expect(kept.of('other')).toEqual([]);
  });
});

test('each welcome is a line of the log: who, from where, how known, which deployment', async () => {
  await node1();
  const new2 = await agent(ELSEWHERE);
  await new2.greet({ uid: 'serial:n2', pointer: null });
  await told.seen(({ step, node }) => step === 'hello' && node === 'node2');
  const again = await agent(ELSEWHERE);
  await again.greet({ uid: 'serial:n2' });
  await server.undefine('node2');
  await admissions.definitions.want('node2', 2);
  const asked = await agent(ELSEWHERE);
  await asked.greet({ uid: 'serial:n2' });
  await eventually(() => expect(log.filter(({ msg }) => msg === 'welcome')).toHaveLength(4));
  expect(directory.get('node2')).toMatchObject({ deeds: ['define'], defined: 'asked' });
  expect(log.filter(({ msg }) => msg === 'welcome')).toMatchObject([
    { level: 30, node: 'node1', address: HOME, by: 'key', deployment: 'd1' },
    { level: 30, node: 'node2', address: ELSEWHERE, by: 'first-use', deployment: '' },
    { level: 30, node: 'node2', address: ELSEWHERE, by: 'uid', deployment: 'd1' },
    { level: 30, node: 'node2', address: ELSEWHERE, by: 'asked', deployment: 'd1' },
  ]);
});

test('one that is dropped with its welcome, which it does not read, speaks for no node', async () => {
  vi.spyOn(Connection.prototype, 'send').mockImplementationOnce(function (this: Connection) {
    this.drop('unread', 'the agent does not read its answers');
  });
  const deaf = await agent(ELSEWHERE);
  expect(await deaf.greet({ uid: 'serial:n2' })).toBeUndefined();
  await told.seen(({ reason }) => reason === 'unread');
  expect(server.connected()).toEqual([]);
  expect(told.events.map(({ step }) => step)).not.toContain('hello');
});
