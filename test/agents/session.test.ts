import { describe, expect, test } from 'vitest';
import type { Hello, Plan } from '../../agent/protocol/messages.ts';
import {
  admitted,
  identify,
  planFor,
  receive,
  type Session,
  turnedAway,
  type World,
} from '../../imager/agents/session.ts';
import type { NodeConfig, UserConfig } from '../../imager/model/config.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { nodeAddresses } from '../../imager/service/node-addresses.ts';
import { hello, POINTER } from './hello.ts';

const node1: NodeConfig = {
  name: 'node1',
  hostname: 'web1',
  mac: '52:54:00:00:00:01',
  uid: 'serial:n1',
  address: '10.0.0.11',
  userConfig: 'web',
};
const node2: NodeConfig = { name: 'node2', hostname: 'node2', mac: '52:54:00:00:00:02' };
const web: UserConfig = {
  secondReboot: true,
  scripts: [{ name: 'a', stage: 1, content: 'true', timeoutSeconds: 5, run: 'once', onFailure: 'retry' }],
  services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 9 },
};
/** What is known of these nodes, of which `pooled` has 10.9.9.9 from the pool. */
function knownOf(nodes: NodeConfig[], pooled: NodeConfig): Pick<World, 'nodes' | 'isAt'> {
  const index = new NodeIndex(nodes);
  const holderOf = (address: string) => (address === '10.9.9.9' ? pooled : undefined);
  return { nodes: index, isAt: nodeAddresses({ nodes: index, holderOf, lastOf: () => undefined }).isAt };
}

const world: World = {
  ...knownOf([node1, node2], node2),
  peer: '10.0.0.11',
  identity: undefined,
  definedAs: (id) =>
    /^id-of-node[12]/.test(id) ? { name: id.slice(6, 11), deleted: id.endsWith('deleted') } : undefined,
  lastSeq: () => 3,
};
const fresh: Session = { at: 'new' };
const open: Session = { at: 'open', node: node1, bootId: 'boot-1' };

/** What somebody is told who has proved nothing. */
const LITTLE = /^it is not taken in: why is in the imager's log/;

const unsealed = (plan: Plan): Plan => plan;

describe('hello', () => {
  test('is welcomed with the plan of the deployment the pointer names', () => {
    const judged = receive(fresh, hello(), world);
    const claim = { node: 'node1', by: 'uid', key: 'none' };
    expect(judged).toEqual({
      session: { at: 'judged', node: node1, by: 'uid', hello: hello(), claim },
      outputs: [{ do: 'admit', node: node1, hello: hello(), claim }],
    });
    const turn = admitted(judged.session, { web }, unsealed);
    expect(turn.session).toEqual(open);
    expect(turn.outputs).toEqual([
      {
        do: 'send',
        message: {
          type: 'welcome',
          node: 'node1',
          hostname: 'web1',
          plan: { deployment: 'd1', ...web },
        },
      },
      { do: 'join', node: node1, by: 'uid', hello: hello() },
    ]);
  });

  test('without a pointer there is no plan', () => {
    const { session } = receive(fresh, hello({ pointer: null }), world);
    expect(admitted(session, {}, unsealed).outputs[0]).toMatchObject({
      message: { type: 'welcome', plan: null },
    });
  });

  test('without a user configuration the plan is the init of the disk', () => {
    expect(planFor(node2, POINTER.deployment, {})).toEqual({
      deployment: 'd1',
      secondReboot: false,
      scripts: [],
      services: { init: ['/sbin/init'], ports: [], timeoutSeconds: 60 },
    });
  });

  test.each<[string, Hello, World, RegExp, RegExp?]>([
    ['version', hello({ version: 1 }), world, /protocol 1, this imager 2/],
    ['unknown-node', hello({ uid: 'serial:x', macs: ['52:54:00:00:00:99'] }), world, /serial:x.*00:99/],
    [
      'address',
      hello(),
      { ...world, peer: '10.0.0.12' },
      /10\.0\.0\.11, this connection is from 10\.0\.0\.12/,
      LITTLE,
    ],
    [
      'address',
      hello(),
      { ...world, peer: '10.0.0.12', identity: 'id-of-node1' },
      /10\.0\.0\.11, this connection is from 10\.0\.0\.12/,
    ],
  ])('is refused, and told what an imposter may hear: %s', (reason, message, at, why, told = why) => {
    const turn = receive(fresh, message, at);
    expect(turn.session).toEqual({ at: 'closed' });
    expect(turn.outputs).toEqual([
      { do: 'send', message: { type: 'refuse', why: expect.stringMatching(told) } },
      expect.objectContaining({ do: 'drop', reason, why: expect.stringMatching(why) }),
    ]);
  });

  test('an address that is not its own is told of the node it says it is', () => {
    const { outputs } = receive(fresh, hello(), { ...world, peer: '10.0.0.12' });
    expect(outputs.at(-1)).toMatchObject({ reason: 'address', claim: { node: 'node1', key: 'none' } });
  });

  test('a node without a reserved address comes from the one it has from the pool', () => {
    const from = (peer: string) =>
      receive(fresh, hello({ uid: 'serial:other', macs: [node2.mac!] }), { ...world, peer });
    expect(from('10.9.9.9').session).toMatchObject({ at: 'judged', node: node2, by: 'mac' });
    expect(from('10.9.9.8').outputs.at(-1)).toMatchObject({ do: 'drop', reason: 'no-lease' });
  });

  test('a node comes from its own address, and from where its plan puts its adapters', () => {
    const adapters = [{ setMac: '02:00:00:00:00:11', network: { address: '10.0.0.50', prefix: 24 } }];
    const [set, plain] = [
      { ...node1, adapters },
      { name: 'plain', hostname: 'plain', circuit: '70' },
    ];
    const wired = { ...plain, adapters: [{ network: { address: '10.0.0.51', prefix: 24 } }] };
    const from = (peer: string, message = hello()) =>
      receive(fresh, message, { ...world, ...knownOf([set, wired], node2), peer });
    expect(['10.0.0.11', '10.0.0.50'].map((peer) => from(peer).session.at)).toEqual(['judged', 'judged']);
    expect(from('10.0.0.51').outputs.at(-1)).toMatchObject({ do: 'drop', reason: 'address' });
    const stranger = hello({ uid: 'serial:other', macs: [] });
    expect(from('10.0.0.51', stranger).session).toMatchObject({ node: wired, by: 'address' });
    expect(from('10.0.0.52', stranger).outputs.at(-1)).toMatchObject({ reason: 'unknown-node' });
    const supervised = hello({ uid: 'serial:other', macs: ['02:00:00:00:00:11'] });
    expect(from('10.0.0.50', supervised).session).toMatchObject({ node: set, by: 'mac' });
    expect(planFor(set, 'd1', { web }).adapters).toEqual(adapters);
  });

  test('a node known by neither UID nor MAC is who comes from its address', () => {
    const wired: NodeConfig = { name: 'wired', hostname: 'wired', circuit: '7031', address: '10.0.0.13' };
    const pooled: NodeConfig = { name: 'pooled', hostname: 'pooled', clientId: '6e31' };
    const from = (peer: string) =>
      receive(fresh, hello({ uid: 'serial:other', macs: [] }), {
        ...world,
        ...knownOf([node1, wired, pooled], pooled),
        peer,
      });
    expect(from('10.0.0.13').session).toMatchObject({ at: 'judged', node: wired, by: 'address' });
    expect(from('10.9.9.9').session).toMatchObject({ at: 'judged', node: pooled, by: 'address' });
    expect(from('10.0.0.11').outputs.at(-1)).toMatchObject({ do: 'drop', reason: 'unknown-node' });
  });

  test('the UID counts before the MAC, a MAC in any case', () => {
    const both = identify({ uid: 'SERIAL:N1', macs: [node2.mac!] }, world.nodes);
    expect(both).toEqual({ node: node1, by: 'uid' });
    const moved = identify(
      { uid: 'serial:zz', macs: ['ff:ff:ff:ff:ff:ff', '52:54:00:00:00:02'] },
      world.nodes,
    );
    expect(moved).toEqual({ node: node2, by: 'mac' });
  });
});

describe('the key of a definition', () => {
  const secured = { ...world, identity: 'id-of-node2', peer: '10.9.9.9' };

  test('says who it is, whatever else the hello says', () => {
    expect(receive(fresh, hello(), secured).session).toMatchObject({
      ...{ at: 'judged', node: node2, by: 'key' },
      claim: { node: 'node2', key: 'present' },
    });
  });

  test('of a deleted one is judged wherever it comes from, of another only where it is the address of the node', () => {
    const elsewhere = { ...secured, peer: '10.8.8.8' };
    expect(receive(fresh, hello(), elsewhere).outputs.at(-1)).toMatchObject({ reason: 'no-lease' });
    expect(receive(fresh, hello(), { ...elsewhere, identity: 'id-of-node2-deleted' }).session).toMatchObject({
      at: 'judged',
      claim: { node: 'node2', key: 'former' },
    });
  });

  describe('where the configuration has another name for the node now', () => {
    const renamed = { ...node2, name: 'renamed' };
    const said = hello({ uid: 'serial:n2', macs: [node2.mac!] });
    const greeted = (identity: string, nodes = [node1, renamed]) =>
      receive(fresh, said, { ...secured, identity, nodes: new NodeIndex(nodes) });

    test('it is refused, and what undefines it is said', () => {
      expect(greeted('id-of-node2').outputs.at(-1)).toEqual({
        ...{ do: 'drop', reason: 'unknown-node' },
        why: 'it is defined as node2, which is not configured: imager node undefine node2',
      });
    });

    test('once that is done it is judged, so that its copy goes', () => {
      expect(greeted('id-of-node2-deleted').session).toMatchObject({
        at: 'judged',
        node: renamed,
        by: 'mac',
        claim: { node: 'renamed', key: 'former' },
      });
      expect(greeted('id-of-node2-deleted', [node1]).outputs.at(-1)).toMatchObject({
        reason: 'unknown-node',
        why: expect.stringContaining('add it to the configuration'),
      });
    });
  });

  test('of no node is refused', () => {
    expect(receive(fresh, hello(), { ...secured, identity: 'unheard of' }).outputs.at(-1)).toMatchObject({
      do: 'drop',
      reason: 'unknown-node',
    });
  });
});

describe('while it is judged', () => {
  const claim = { node: 'node1', by: 'uid', key: 'none' } as const;
  const judged: Session = { at: 'judged', node: node1, by: 'uid', hello: hello(), claim };

  test('answers settle what was asked, all else ends the session', () => {
    expect(receive(judged, { type: 'done', request: 7 }, world)).toEqual({
      session: judged,
      outputs: [{ do: 'settle', request: 7, answer: {} }],
    });
    expect(
      receive(judged, { type: 'identified', request: 8, uid: 'serial:n1', local: null }, world).outputs,
    ).toEqual([{ do: 'settle', request: 8, answer: { identified: { uid: 'serial:n1', local: null } } }]);
    const step = { type: 'step', seq: 1, step: 'mounted', uptime: 3 } as const;
    expect(receive(judged, step, world).outputs).toMatchObject([{ do: 'drop', reason: 'early' }]);
    expect(receive(judged, hello(), world).outputs).toMatchObject([{ do: 'drop', reason: 'early' }]);
  });

  test('it is turned away with the reason; what has ended is neither taken in nor turned away', () => {
    const told = { present: 'why', former: 'why', none: expect.stringMatching(LITTLE) };
    for (const key of ['present', 'former', 'none'] as const) {
      const claim = { node: 'node1', by: 'uid' as const, key };
      expect(turnedAway({ ...judged, claim }, 'reason', 'why').outputs).toEqual([
        { do: 'send', message: { type: 'refuse', why: told[key] } },
        { do: 'drop', reason: 'reason', why: 'why', claim },
      ]);
    }
    const closed: Session = { at: 'closed' };
    expect(turnedAway(closed, 'no-key', '').outputs).toEqual([]);
    expect(admitted(closed, {}, unsealed).outputs).toEqual([]);
  });
});

describe('after the welcome', () => {
  test('what a script left is kept', () => {
    const output = {
      ...{ script: '10-a', deployment: 'd1', bootId: 'boot-0', stage: 1 as const, code: 3, timedOut: false },
      ...{ began: 2.5, took: 0.125, output: 'no such disk\n' },
    };
    expect(receive(open, { type: 'output', ...output }, world).outputs).toEqual([
      { do: 'keep', node: node1, output },
    ]);
  });

  test('a new step is recorded, an old one only acknowledged again', () => {
    const step = { type: 'step', seq: 4, step: 'mounted', uptime: 3 } as const;
    expect(receive(open, step, world).outputs).toEqual([
      { do: 'record', node: node1, bootId: 'boot-1', step },
    ]);
    expect(receive(open, { ...step, seq: 3 }, world).outputs).toEqual([
      { do: 'send', message: { type: 'ack', seq: 3 } },
    ]);
  });

  test('answers settle their requests, a heartbeat has its pong', () => {
    expect(receive(open, { type: 'done', request: 7, pointer: POINTER }, world).outputs).toEqual([
      { do: 'settle', request: 7, answer: { pointer: POINTER } },
    ]);
    const former = { ...POINTER, sequence: 1 };
    expect(receive(open, { type: 'done', request: 7, pointer: POINTER, former }, world).outputs).toEqual([
      { do: 'settle', request: 7, answer: { pointer: POINTER, former } },
    ]);
    expect(receive(open, { type: 'failed', request: 7, why: 'no' }, world).outputs).toEqual([
      { do: 'settle', request: 7, answer: { why: 'no' } },
    ]);
    expect(receive(open, { type: 'heartbeat', adapters: [] }, world)).toEqual({
      session: open,
      outputs: [
        { do: 'send', message: { type: 'pong' } },
        { do: 'heard', node: open.node, heartbeat: { type: 'heartbeat', adapters: [] } },
      ],
    });
  });

  test('anything before hello and a second hello end the session; a closed one says nothing', () => {
    expect(receive(fresh, { type: 'heartbeat', adapters: [] }, world).outputs).toMatchObject([
      { do: 'drop', reason: 'no-hello' },
    ]);
    const again = receive(open, hello(), world);
    expect(again.outputs).toMatchObject([{ do: 'drop', reason: 'second-hello' }]);
    expect(receive(again.session, { type: 'heartbeat', adapters: [] }, world).outputs).toEqual([]);
  });
});
