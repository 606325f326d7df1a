/** Where nodes are whose adapters are given addresses: to disks, and to DHCP. */
import { expect, test } from 'vitest';
import type { NodeConfig } from '../../imager/model/config.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { reservationsOf } from '../../imager/service/dhcp-settings.ts';
import { nodeAddresses } from '../../imager/service/node-addresses.ts';

const OWN = '52:54:00:00:00:01';
const SET = '02:00:00:00:00:01';
const moved: NodeConfig = {
  ...{ name: 'moved', hostname: 'moved', mac: OWN, address: '10.0.0.11' },
  adapters: [{ setMac: SET, network: { address: '10.0.0.50', prefix: 24 } }],
};
const pooled: NodeConfig = {
  ...{ name: 'pooled', hostname: 'pooled', mac: '52:54:00:00:00:02' },
  adapters: [{ network: { address: '10.0.0.51', prefix: 24 } }],
};
const plain: NodeConfig = { name: 'plain', hostname: 'plain', mac: '52:54:00:00:00:03' };
const nodes = new NodeIndex([moved, pooled, plain]);
const leases: Record<string, NodeConfig> = {
  ...{ '10.0.0.101': pooled, '10.0.0.102': plain, '10.0.0.103': plain, '10.0.0.104': moved },
};
const { addressOf, isAt, clientAt } = nodeAddresses({
  nodes,
  lastOf: (name) => ({ moved: '10.0.0.50', pooled: '10.0.0.51', plain: '10.0.0.102' })[name],
  holderOf: (address) => leases[address],
});

test('a node is where its firmware has it, and where its plan puts it', () => {
  expect(['moved', 'pooled', 'plain', 'gone'].map(addressOf)).toEqual([
    ...['10.0.0.11', undefined, '10.0.0.102', undefined],
  ]);
  expect([isAt('moved', '10.0.0.11'), isAt('moved', '10.0.0.50')]).toEqual([true, true]);
  expect([isAt('moved', '10.0.0.51'), isAt('plain', '10.0.0.101'), isAt('gone', 'x')]).toEqual([
    ...[false, false, false],
  ]);
});

test('it is where it has a lease, wherever it last said hello from; not where its address is reserved', () => {
  expect(isAt('pooled', '10.0.0.101')).toBe(true);
  expect([isAt('plain', '10.0.0.102'), isAt('plain', '10.0.0.103')]).toEqual([true, true]);
  expect(isAt('moved', '10.0.0.104')).toBe(false);
});

test('its addresses are one client; everybody else is one for himself', () => {
  const addresses = ['10.0.0.11', '10.0.0.50', '10.0.0.101', '10.0.0.51', '10.0.0.102', '10.0.0.200'];
  expect(addresses.map(clientAt)).toEqual([
    ...['10.0.0.50', '10.0.0.50', '10.0.0.51', '10.0.0.51', '10.0.0.102', '10.0.0.200'],
  ]);
});

test('DHCP gives its firmware the reserved address and its system the one it has; nobody else has either', () => {
  const reservations = reservationsOf(nodes);
  expect(reservations.byMac(OWN)).toEqual({ node: 'moved', hostname: 'moved', address: '10.0.0.11' });
  expect(reservations.byMac(SET)).toEqual({ node: 'moved', hostname: 'moved', address: '10.0.0.50' });
  expect(['10.0.0.11', '10.0.0.50', '10.0.0.51'].map((each) => reservations.byAddress(each)?.node)).toEqual([
    ...['moved', 'moved', 'pooled'],
  ]);
});
