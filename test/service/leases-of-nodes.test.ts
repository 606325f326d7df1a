/** Whose a lease is, also after a restart with another configuration. */
import { expect, test } from 'vitest';
import type { Lease } from '../../imager/dhcp/lease.ts';
import type { NodeConfig } from '../../imager/model/config.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { nodeOfLease } from '../../imager/service/dhcp-settings.ts';

const MAC = '52:54:00:00:00:01';
const UID = '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601';
const lease = (changes: Partial<Lease>): Lease => ({
  ...{ address: '10.77.0.100', client: 'mac', mac: MAC, state: 'bound', start: 0, expires: 1 },
  ...changes,
});
const node = (name: string, marks: Partial<NodeConfig>): NodeConfig => ({ name, hostname: name, ...marks });

test.each([
  ['given to the node', { node: 'n1' }, [node('n1', { mac: MAC })], 'n1'],
  ['given before the node was in the configuration, by MAC', {}, [node('n1', { mac: MAC })], 'n1'],
  ['the same, by UUID', { uid: UID }, [node('n1', { uid: UID })], 'n1'],
  ['given to the node under its old name', { node: 'old' }, [node('new', { mac: MAC })], 'new'],
  [
    'given before two nodes changed their names',
    { node: 'n1' },
    [node('n2', { mac: MAC }), node('n1', { mac: '52:54:00:00:00:02' })],
    'n2',
  ],
  ['known by its client identifier alone', { node: 'n1' }, [node('n1', { clientId: '0102' })], 'n1'],
  ['the UUID counts before the MAC', { uid: UID }, [node('m', { mac: MAC }), node('u', { uid: UID })], 'u'],
  ['nobody s', { node: 'gone' }, [node('n1', { mac: '52:54:00:00:00:02' })], undefined],
  ['given back', { node: 'n1', state: 'released' as const }, [node('n1', { mac: MAC })], undefined],
])('%s', (_what, changes, nodes, expected) => {
  expect(nodeOfLease(new NodeIndex(nodes), lease(changes))?.name).toBe(expected);
});

test('no lease is nobody s', () => {
  expect(nodeOfLease(new NodeIndex([node('n1', { mac: MAC })]), undefined)).toBeUndefined();
});
