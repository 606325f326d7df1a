import { describe, expect, test } from 'vitest';
import { identify, planFor, receive, type Session, type World } from '../../imager/agents/session.ts';
import type { NodeConfig, UserConfig } from '../../imager/model/config.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { hello, POINTER } from './client.ts';

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
  scripts: [{ name: 'a', stage: 1, content: 'true', timeoutSeconds: 5 }],
  services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 9 },
};
const world: World = {
  nodes: new NodeIndex([node1, node2]),
  userConfigs: { web },
  peer: '10.0.0.11',
  holdsLease: (node, address) => node === node2 && address === '10.9.9.9',
  lastSeq: () => 3,
};
const fresh: Session = { at: 'new' };
const open: Session = { at: 'open', node: node1, bootId: 'boot-1' };

describe('hello', () => {
  test('is welcomed with the plan of the deployment the pointer names', () => {
    const turn = receive(fresh, hello(), world);
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
    expect(receive(fresh, hello({ pointer: null }), world).outputs[0]).toMatchObject({
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

  test.each([
    ['version', hello({ version: 1 }), world, /protocol 1, this imager 2/],
    ['unknown-node', hello({ uid: 'serial:x', macs: ['52:54:00:00:00:99'] }), world, /serial:x.*00:99/],
    [
      'address',
      hello(),
      { ...world, peer: '10.0.0.12' },
      /10\.0\.0\.11, this connection is from 10\.0\.0\.12/,
    ],
  ])('is refused: %s', (reason, message, at, why) => {
    const turn = receive(fresh, message, at);
    expect(turn.session).toEqual({ at: 'closed' });
    expect(turn.outputs).toEqual([
      { do: 'send', message: { type: 'refuse', why: expect.stringMatching(why) } },
      { do: 'drop', reason, why: expect.stringMatching(why) },
    ]);
  });

  test('a node without a reserved address comes from the one it has from the pool', () => {
    const from = (peer: string) =>
      receive(fresh, hello({ uid: 'serial:other', macs: [node2.mac!] }), { ...world, peer });
    expect(from('10.9.9.9').session).toMatchObject({ at: 'open', node: node2 });
    expect(from('10.9.9.8').outputs.at(-1)).toMatchObject({ do: 'drop', reason: 'no-lease' });
  });

  test('a node known by neither UID nor MAC is who comes from its address', () => {
    const wired: NodeConfig = { name: 'wired', hostname: 'wired', circuit: '7031', address: '10.0.0.13' };
    const pooled: NodeConfig = { name: 'pooled', hostname: 'pooled', clientId: '6e31' };
    const from = (peer: string) =>
      receive(fresh, hello({ uid: 'serial:other', macs: [] }), {
        ...world,
        nodes: new NodeIndex([node1, wired, pooled]),
        peer,
        holdsLease: (node, address) => node === pooled && address === '10.9.9.9',
      });
    expect(from('10.0.0.13').outputs.at(-1)).toMatchObject({ do: 'join', node: wired, by: 'address' });
    expect(from('10.9.9.9').outputs.at(-1)).toMatchObject({ do: 'join', node: pooled, by: 'address' });
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

describe('after the welcome', () => {
  test('a new step is recorded, an old one only acknowledged again', () => {
    const step = { type: 'step', seq: 4, step: 'mounted', uptime: 3 } as const;
    expect(receive(open, step, world).outputs).toEqual([
      { do: 'record', node: node1, bootId: 'boot-1', step },
    ]);
    expect(receive(open, { ...step, seq: 3 }, world).outputs).toEqual([
      { do: 'send', message: { type: 'ack', seq: 3 } },
    ]);
  });

  test('answers settle their requests, a ping has its pong', () => {
    expect(receive(open, { type: 'done', request: 7, pointer: POINTER }, world).outputs).toEqual([
      { do: 'settle', request: 7, answer: { pointer: POINTER } },
    ]);
    expect(receive(open, { type: 'failed', request: 7, why: 'no' }, world).outputs).toEqual([
      { do: 'settle', request: 7, answer: { why: 'no' } },
    ]);
    expect(receive(open, { type: 'ping' }, world)).toEqual({
      session: open,
      outputs: [{ do: 'send', message: { type: 'pong' } }],
    });
  });

  test('anything before hello and a second hello end the session; a closed one says nothing', () => {
    expect(receive(fresh, { type: 'ping' }, world).outputs).toMatchObject([
      { do: 'drop', reason: 'no-hello' },
    ]);
    const again = receive(open, hello(), world);
    expect(again.outputs).toMatchObject([{ do: 'drop', reason: 'second-hello' }]);
    expect(receive(again.session, { type: 'ping' }, world).outputs).toEqual([]);
  });
});
