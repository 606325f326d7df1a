/** Adapters of nodes that are not to be as the firmware leaves them, in the configuration file. */
import { describe, expect, test } from 'vitest';
import type { NodeConfig } from '../../imager/model/config.ts';
import { ConfigError } from '../../imager/model/fault.ts';
import { parseConfig } from '../../imager/model/load.ts';
import { isAdapterAddress, NodeIndex } from '../../imager/model/nodes.ts';

const FILE = '/lab/c.yaml';
const nodesText = (first: string, second = '[]') => `state: s
cluster: c
network: { address: 10.0.0.1, prefix: 24, router: 10.0.0.254 }
dhcp: { subnets: [{ network: 10.0.2.0/24, router: 10.0.2.254 }] }
nodes:
  - { name: a, mac: "52:54:00:00:00:01", address: 10.0.0.11, adapters: ${first} }
  - { name: b, uid: serial:b, address: 10.0.0.12, adapters: ${second} }
`;

const nodesOf = (first: string, second?: string): NodeConfig[] =>
  parseConfig(nodesText(first, second), FILE).nodes;

function faultsOf(first: string, second?: string): string[] {
  try {
    nodesOf(first, second);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n').map((line) => line.slice('/lab/'.length));
  }
  return [];
}

test('a MAC, an address and a gateway, of the adapter it boots over and of another', () => {
  const [a, b] = nodesOf(
    '[{ setMac: "02:00:00:00:00:0A", address: 10.0.0.50/24 }]',
    '[{ mac: "52:54:00:00:00:99", address: 192.0.2.7/25, gateway: 192.0.2.1 }, { address: 10.0.2.9/24 }]',
  );
  expect(a?.adapters).toEqual([
    { setMac: '02:00:00:00:00:0a', network: { address: '10.0.0.50', prefix: 24 } },
  ]);
  expect(b?.adapters).toEqual([
    { mac: '52:54:00:00:00:99', network: { address: '192.0.2.7', prefix: 25, gateway: '192.0.2.1' } },
    { network: { address: '10.0.2.9', prefix: 24 } },
  ]);
  const index = new NodeIndex([a!, b!]);
  expect([index.byMac('02:00:00:00:00:0a'), index.byMac('52:54:00:00:00:99')]).toEqual([a, undefined]);
  expect(['10.0.0.11', '10.0.0.50'].map((address) => index.byAddress(address))).toEqual([a, a]);
  expect(['10.0.0.12', '192.0.2.7'].map((address) => isAdapterAddress(b!, address))).toEqual([false, true]);
});

test('its reserved address may be set as well', () => {
  expect(faultsOf('[{ mac: "52:54:00:00:00:01", address: 10.0.0.11/24 }]')).toEqual([]);
});

describe('a fault is told with its place:', () => {
  test.each<[string, string, string | undefined, RegExp]>([
    [
      'a MAC of a group',
      '[{ setMac: "03:00:00:00:00:01" }]',
      undefined,
      /^c\.yaml:6:83: nodes\[0\]\.adapters\[0\]\.setMac: .*for one adapter/,
    ],
    ['a MAC of nobody', '[{ setMac: "00:00:00:00:00:00" }]', undefined, /setMac: .*not zero/],
    [
      "another node's MAC",
      '[]',
      '[{ setMac: "52:54:00:00:00:01" }]',
      /^c\.yaml:7:\d+: nodes\[1\]\.adapters\[0\]\.setMac: found .*, already the mac of nodes\[0\] \(a\)/,
    ],
    [
      "another adapter's MAC",
      '[{ setMac: "02:00:00:00:00:01" }]',
      '[{ setMac: "02:00:00:00:00:01" }]',
      /nodes\[1\].*already the mac of nodes\[0\]\.adapters\[0\] \(a\)/,
    ],
    [
      "another node's adapter",
      '[{ mac: "52:54:00:00:00:99", setMac: "02:00:00:00:00:01" }]',
      '[{ mac: "52:54:00:00:00:99", address: 10.0.0.50/24 }]',
      /nodes\[1\]\.adapters\[0\]\.mac: .*already the mac of nodes\[0\] \(a\)/,
    ],
    [
      'the same adapter',
      '[{ setMac: "02:00:00:00:00:01" }, { mac: "52:54:00:00:00:01", address: 10.0.0.50/24 }]',
      undefined,
      /adapters\[1\]: found 52:54:00:00:00:01 a second time/,
    ],
    [
      'two without a mark',
      '[]',
      '[{ setMac: "02:00:00:00:00:01" }, { address: 10.0.0.50/24 }]',
      /adapters\[1\]: found a second adapter without mac/,
    ],
    [
      'nothing to set',
      '[{ mac: "52:54:00:00:00:01" }]',
      undefined,
      /found nothing to set, expected setMac or address/,
    ],
    [
      'no prefix',
      '[{ address: 10.0.0.50 }]',
      undefined,
      /address: found "10\.0\.0\.50", expected an address such as 10\.77\.0\.50\/24/,
    ],
    ['a network', '[{ address: 10.0.0.0/24 }]', undefined, /found 10\.0\.0\.0, which is the network address/],
    [
      "another node's address",
      '[{ address: 10.0.0.12/24 }]',
      undefined,
      /already the address of nodes\[1\] \(b\), expected one of its own/,
    ],
    [
      "another adapter's address",
      '[{ address: 10.0.0.50/24 }]',
      '[{ address: 10.0.0.50/24 }]',
      /nodes\[1\].*already the address of nodes\[0\]\.adapters\[0\] \(a\)/,
    ],
    ["the imager's", '[{ address: 10.0.0.1/24 }]', undefined, /already the address of the imager/],
    ["a router's", '[{ address: 10.0.2.254/24 }]', undefined, /already the address of the router/],
    [
      'out of reach of the imager',
      '[{ address: 192.0.2.7/24 }]',
      undefined,
      /found 192\.0\.2\.7, outside the nodes' networks/,
    ],
    [
      'a gateway elsewhere',
      '[{ address: 10.0.0.50/24, gateway: 10.0.1.1 }]',
      undefined,
      /gateway: found 10\.0\.1\.1, which is outside the network/,
    ],
    [
      'itself as the gateway',
      '[{ address: 10.0.0.50/24, gateway: 10.0.0.50 }]',
      undefined,
      /which is the address itself/,
    ],
    [
      'a gateway alone',
      '[{ setMac: "02:00:00:00:00:01", gateway: 10.0.0.254 }]',
      undefined,
      /gateway: found 10\.0\.0\.254 without address/,
    ],
  ])('%s', (_what, first, second, fault) => {
    expect(faultsOf(first, second)).toEqual([expect.stringMatching(fault)]);
  });

  test('two gateways', () => {
    const faults = faultsOf(
      '[{ address: 10.0.0.50/24, gateway: 10.0.0.254 }, { mac: "52:54:00:00:00:99", address: 192.0.2.7/24, gateway: 192.0.2.1 }]',
    );
    expect(faults).toEqual(Array(2).fill(expect.stringContaining('one of 2')));
  });
});
