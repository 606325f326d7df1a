/** What DHCP gives the adapters of one node: each its own, and none what the node has for its boot. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../imager/dhcp/decide.ts';
import type { Lease } from '../../imager/dhcp/lease.ts';
import type { NodeConfig } from '../../imager/model/config.ts';
import { bootsOver, NodeIndex } from '../../imager/model/nodes.ts';
import { nodeOfLease, reservationsOf } from '../../imager/service/dhcp-settings.ts';
import { asking, bind, type Leased, lease, outcome, request, world } from '../dhcp/fakes.ts';

const OWN = '52:54:00:00:00:0a';
const SECOND = '52:54:00:00:00:0b';
const SET = '02:00:00:00:00:0c';
const SET_OWN = '02:00:00:00:00:0d';
const setting = { mac: SECOND, setMac: SET };
const network = { address: '10.77.0.50', prefix: 24 };
const names = { name: 'n1', hostname: 'one' };
const node = (fields: Partial<NodeConfig>): NodeConfig => ({ ...names, mac: OWN, ...fields });

const lab = (nodes: readonly NodeConfig[]): Leased => ({
  ...world(),
  reservations: reservationsOf(new NodeIndex(nodes)),
});
/** Later, with that configuration. */
const then = (before: Leased, nodes: readonly NodeConfig[]): Leased => ({
  ...lab(nodes),
  leases: before.leases,
});
const renew = (mac: string, ciaddr: string, here: Leased) =>
  outcome(decide(request('request', { mac, ciaddr }), here));

describe('a second adapter with a MAC alone', () => {
  test('has not the address that is reserved for the node, but one from the pool', () => {
    const here = lab([node({ address: '10.77.0.11', adapters: [setting] })]);
    expect(bind(OWN, here)).toBe('10.77.0.11');
    const second = bind(SET, here);
    expect(here.leases.byAddress(second)).toMatchObject({ client: `mac:${SET}`, mac: SET });
    expect(here.leases.byAddress(second)).not.toHaveProperty('node');
    expect(second).not.toBe('10.77.0.11');
    expect([renew(OWN, '10.77.0.11', here), renew(SET, second, here)]).toEqual([
      ...['ack 10.77.0.11', `ack ${second}`],
    ]);
  });

  test.each<[string, Partial<NodeConfig>, string, string]>([
    ['reserved', { address: '10.77.0.11' }, '10.77.0.11', 'nak: reserved-for-other'],
    ['from the pool', {}, '10.77.0.101', 'nak: leased-to-other'],
  ])('gives up the address of its node that it was given once: %s', async (_what, fields, had, verdict) => {
    const here = lab([node({ ...fields, adapters: [setting] })]);
    const former: Partial<Lease> = { address: had, client: 'node:n1', mac: SET, node: 'n1' };
    await here.leases.apply([{ type: 'put', lease: lease(former) }]);
    expect(renew(SET, had, here)).toBe(verdict);
    expect(outcome(decide(request('request', { mac: SET }, asking(had)), here))).toBe(verdict);
    expect(bind(SET, here)).not.toBe(had);
    expect(renew(OWN, had, here)).toBe(`ack ${had}`);
  });
});

describe('a second adapter with MAC and address', () => {
  const pooled = [node({ adapters: [{ ...setting, network }] })];

  test('has a lease of its own: the one the node booted with stays', () => {
    const here = lab(pooled);
    const first = bind(OWN, here);
    expect(bind(SET, here)).toBe('10.77.0.50');
    const held = [first, '10.77.0.50'].map((address) => here.leases.byAddress(address));
    expect(held).toMatchObject([
      { client: 'node:n1', mac: OWN, node: 'n1' },
      { client: `node:n1/${SET}`, mac: SET, node: 'n1', hostname: 'one' },
    ]);
    const nodes = new NodeIndex(pooled);
    expect(held.map((each) => nodeOfLease(nodes, each)?.name)).toEqual(['n1', 'n1']);
    expect([renew(OWN, first, here), renew(SET, '10.77.0.50', here)]).toEqual([
      ...[`ack ${first}`, 'ack 10.77.0.50'],
    ]);
  });

  test('has its own again after a version that kept it as the node s', async () => {
    const here = lab(pooled);
    const former: Partial<Lease> = { address: '10.77.0.50', client: 'node:n1', mac: SET, node: 'n1' };
    await here.leases.apply([{ type: 'put', lease: lease(former) }]);
    expect(bind(SET, here)).toBe('10.77.0.50');
    expect(here.leases.byAddress('10.77.0.50')?.client).toBe(`node:n1/${SET}`);
    expect(renew(OWN, '10.77.0.101', here)).toBe('ack 10.77.0.101');
  });

  test('is not taken for the node by that lease once the configuration has it no more', () => {
    const before = lab(pooled);
    const first = bind(OWN, before);
    bind(SET, before);
    const here = then(before, [node({})]);
    expect(bind(SET, here)).not.toBe(first);
    expect(renew(OWN, first, here)).toBe(`ack ${first}`);
  });
});

test.each<[string, NodeConfig]>([
  ['which the entry does not name', node({ adapters: [{ setMac: SET_OWN }, setting] })],
  ['by its MAC', node({ adapters: [{ mac: OWN, setMac: SET_OWN }, setting] })],
])('over the adapter it boots over it is the node still, %s', (_what, found) => {
  const here = lab([found]);
  expect(bind(SET_OWN, here)).toBe(bind(OWN, here));
  expect(bind(SET, here)).not.toBe(bind(OWN, here));
});

test('of a node without MAC any adapter may be the one it boots over, where no entry says which', () => {
  const unnamed = { ...names, uid: 'serial:a', adapters: [setting] };
  const named = { ...unnamed, adapters: [{ setMac: SET_OWN }, setting] };
  expect([bootsOver(unnamed, setting), bootsOver(named, setting)]).toEqual([true, false]);
});
