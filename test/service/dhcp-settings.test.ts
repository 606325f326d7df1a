/** What the DHCP server is told of boot menus. */
import { expect, test } from 'vitest';
import type { BootClient } from '../../imager/dhcp/config.ts';
import { parseConfig } from '../../imager/model/load.ts';
import { dhcpConfig } from '../../imager/service/dhcp-settings.ts';

const menuOf = (boot: string, node: string, client: Omit<BootClient, 'mac'> = {}) => {
  const config = parseConfig(
    `state: s
cluster: c
network: { address: 10.0.0.1, prefix: 24 }
boot: ${boot}
nodes: [{ name: n1, mac: "52:54:00:00:00:01", address: 10.0.0.2, boot: ${node} }]
`,
    'c.yaml',
  );
  const { menu } = dhcpConfig(config, new Set(), 80, () => ({ image: null, file: undefined }));
  return menu?.({ mac: '52:54:00:00:00:01', ...client })?.items.map(({ name }) => name);
};
const ALL = '{ menu: { items: [{ name: All, boot: normal }] } }';
const OWN = '{ menu: { items: [{ name: Own, boot: local }] } }';
const WITH_IPXE = '{ menu: { ipxe: true, items: [{ name: All, boot: normal }] } }';

test.each([
  ['nobody, where there is none', '{}', '{}', { node: 'n1' }, undefined],
  ['everybody', ALL, '{}', { node: 'n1' }, ['All']],
  ['strangers too', ALL, OWN, {}, ['All']],
  ['a node its own', ALL, OWN, { node: 'n1' }, ['Own']],
  ['a node alone', '{}', OWN, { node: 'n1' }, ['Own']],
  ['others not what is a node’s', '{}', OWN, { node: 'n2' }, undefined],
  ['iPXE none', ALL, '{}', { userClass: 'iPXE' }, undefined],
  ['iPXE one that is for it', WITH_IPXE, '{}', { userClass: 'iPXE' }, ['All']],
])('a menu is shown to %s', (_whom, boot, node, client, expected) => {
  expect(menuOf(boot, node, client)).toEqual(expected);
});
