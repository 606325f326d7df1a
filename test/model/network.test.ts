/** Networks, subnets, DHCP options and boot files of the configuration file. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ARCHITECTURES, architectureNamed, architectureOf } from '../../imager/model/architectures.ts';
import type { ImagerConfig } from '../../imager/model/config.ts';
import { ConfigError } from '../../imager/model/fault.ts';
import { hostFault, networkRange, parseNetwork } from '../../imager/model/ipv4.ts';
import { parseConfig } from '../../imager/model/load.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'model-network-'));
  mkdirSync(join(dir, 'menus'));
  for (const name of ['a.pem', 'b.pem']) writeFileSync(join(dir, name), '');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const HEAD = 'state: s\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n';

function parsed(text: string): ImagerConfig {
  return parseConfig(text, join(dir, 'c.yaml'));
}

function faultsOf(text: string): string[] {
  try {
    parsed(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n').map((line) => line.slice(dir.length + 1));
  }
  return [];
}

test('everything about addresses and boot files in one file', () => {
  const config = parsed(`state: s
cluster: c
network:
  address: 10.0.0.1
  prefix: 24
  pool:
    - { from: 10.0.0.100, to: 10.0.0.119 }
    - { from: 10.0.0.200, to: 10.0.0.209 }
  router: 10.0.0.254
  domain: lab.example
  nextServer: 10.0.0.9
dhcp:
  probe: true
  subnets:
    - { network: 10.0.1.0/25, router: 10.0.1.126, dns: [10.0.0.2], domain: rack.example, leaseSeconds: 600,
        pools: [{ from: 10.0.1.10, to: 10.0.1.19 }], nextServer: 10.0.0.8, circuits: [port7, "0x0001"] }
    - { network: 10.0.2.0/24 }
  options:
    - { code: 119, hex: "03:6c:61:62" }
    - { code: 72, addresses: [10.0.0.3, 10.0.0.4], for: { node: n1 } }
    - { code: 67, text: boot.efi, for: { class: PXEClient, architecture: efi-x64 } }
boot: { files: { bios: pxelinux.0, http-x64: "http://10.0.0.1/x.efi" } }
templates: menus
https: { cert: a.pem, key: b.pem }
nbd: { tls: { cert: a.pem, key: b.pem, ca: a.pem, psk: b.pem } }
nodes:
  - { name: n1, clientId: "01:52:54:00:00:00:0A", address: 10.0.1.2, boot: { image: i, file: f }, variables: { speed: "9600" } }
  - { name: n2, circuit: port7, serial: ABCD1234 }
`);
  expect(config.network).toEqual({
    address: '10.0.0.1',
    prefix: 24,
    pools: [
      { from: '10.0.0.100', to: '10.0.0.119' },
      { from: '10.0.0.200', to: '10.0.0.209' },
    ],
    router: '10.0.0.254',
    domain: 'lab.example',
    leaseSeconds: 3600,
    nextServer: '10.0.0.9',
  });
  expect(config.dhcp).toEqual({
    mode: 'server',
    probe: true,
    subnets: [
      {
        network: '10.0.1.0',
        prefix: 25,
        router: '10.0.1.126',
        dns: ['10.0.0.2'],
        domain: 'rack.example',
        leaseSeconds: 600,
        pools: [{ from: '10.0.1.10', to: '10.0.1.19' }],
        nextServer: '10.0.0.8',
        circuits: ['706f727437', '0001'],
      },
      { network: '10.0.2.0', prefix: 24, leaseSeconds: 3600, pools: [], circuits: [] },
    ],
    options: [
      { code: 119, value: Uint8Array.of(3, 0x6c, 0x61, 0x62) },
      { code: 72, value: Uint8Array.of(10, 0, 0, 3, 10, 0, 0, 4), for: { node: 'n1' } },
      {
        code: 67,
        value: Uint8Array.from(Buffer.from('boot.efi')),
        for: { class: 'PXEClient', architecture: 7 },
      },
    ],
  });
  expect(config.boot).toEqual({ files: { bios: 'pxelinux.0', 'http-x64': 'http://10.0.0.1/x.efi' } });
  expect(config.templates).toBe(join(dir, 'menus'));
  expect(config.https).toEqual({ port: 443, cert: join(dir, 'a.pem'), key: join(dir, 'b.pem') });
  const [a, b] = [join(dir, 'a.pem'), join(dir, 'b.pem')];
  expect(config.nbd).toEqual({ tls: { mode: 'required', x509: { cert: a, key: b, ca: a }, psk: b } });
  expect(config.nodes).toEqual([
    {
      name: 'n1',
      hostname: 'n1',
      clientId: '0152540000000a',
      address: '10.0.1.2',
      boot: { image: 'i', file: 'f' },
      variables: { speed: '9600' },
    },
    { name: 'n2', hostname: 'n2', circuit: '706f727437', serial: 'abcd1234' },
  ]);
  const nodes = new NodeIndex(config.nodes);
  expect(nodes.byClientId('0152540000000a')?.name).toBe('n1');
  expect(nodes.byCircuit('706f727437')?.name).toBe('n2');
  expect(nodes.bySerial('abcd1234')?.name).toBe('n2');
});

test('NBD over TLS that is off may keep its keys', () => {
  expect(parsed(`${HEAD}nbd: { tls: { mode: off, cert: a.pem } }\n`).nbd).toEqual({});
});

test('without these sections', () => {
  expect(parsed(HEAD)).toMatchObject({
    network: { pools: [] },
    dhcp: { mode: 'server', probe: false, subnets: [], options: [] },
    boot: { files: {} },
  });
});

const subnets = (...list: string[]) =>
  `${HEAD}dhcp:\n  subnets:\n${list.map((each) => `    - ${each}\n`).join('')}`;
const node = (fields: string) =>
  `${subnets('{ network: 10.0.1.0/24, router: 10.0.1.1 }')}nodes: [{ name: a, ${fields} }]\n`;

describe('faults of one value', () => {
  test.each([
    [
      'a range in a list',
      HEAD.replace('24 }', '24, pool: [{ from: 10.0.0.5, to: 10.0.0.6 }, { from: x, to: 10.0.0.9 }] }'),
      /^c\.yaml:3:\d+: network\.pool\[1\]\.from: found "x", expected an IPv4 address/,
    ],
    [
      'a lone range',
      HEAD.replace('24 }', '24, pool: { from: 10.0.0.5, too: 10.0.0.6, to: 10.0.0.6 } }'),
      /^c\.yaml:3:67: network\.pool\.too: found unknown key "too", expected one of from, to$/,
    ],
    [
      'a mode',
      `${HEAD}dhcp: { mode: relay }\n`,
      /^c\.yaml:4:15: dhcp\.mode: found "relay", expected one of server, proxy, off$/,
    ],
    [
      'a network',
      subnets('{ network: 10.0.1.0 }'),
      /network: found "10\.0\.1\.0", expected a network such as 10\.78\.0\.0\/24/,
    ],
    ['a network with leading zeroes', subnets('{ network: 10.00.1.0/24 }'), /expected a network such as/],
    ['a prefix', subnets('{ network: 10.0.1.0/31 }'), /its prefix from 8 to 30/],
    [
      'an own option',
      `${HEAD}dhcp: { options: [{ code: 53, hex: "01" }] }\n`,
      /options\[0\]\.code: found 53, .*none of the protocol's own/,
    ],
    [
      'hexadecimal',
      `${HEAD}dhcp: { options: [{ code: 43, hex: "0" }] }\n`,
      /hex: found "0", expected bytes in hexadecimal/,
    ],
    [
      'an architecture',
      `${HEAD}boot: { files: { x64: a.efi } }\n`,
      /boot\.files.x64: found .*"x64", expected one of bios, /,
    ],
    [
      'a client id',
      node('clientId: a'),
      /clientId: found "a", expected a client identifier of at least two bytes/,
    ],
    [
      'a variable',
      node('mac: "52:54:00:00:00:01", address: 10.0.0.2, variables: { speed: 9600 }'),
      /variables\.speed: found 9600, expected a text/,
    ],
    [
      'a domain',
      HEAD.replace('24 }', '24, domain: "a..b" }'),
      /network\.domain: found "a\.\.b", expected a domain name/,
    ],
    [
      'a folder',
      `${HEAD}templates: a.pem\n`,
      /^c\.yaml:4:12: templates: found a\.pem: a file, expected a folder$/,
    ],
    [
      'a certificate',
      `${HEAD}https: { cert: no.pem, key: b.pem }\n`,
      /https\.cert: found no\.pem: no such file, expected a file$/,
    ],
    [
      'pre-shared keys',
      `${HEAD}nbd: { tls: { psk: no.psk } }\n`,
      /nbd\.tls\.psk: found no\.psk: no such file, expected a file$/,
    ],
    [
      'a mode of TLS',
      `${HEAD}nbd: { tls: { mode: always, psk: a.pem } }\n`,
      /nbd\.tls\.mode: found "always", expected one of off, allowed, required$/,
    ],
    [
      'half of a certificate',
      `${HEAD}nbd: { tls: { cert: a.pem, ca: a.pem, psk: a.pem } }\n`,
      /nbd\.tls: found no key, expected cert, key and ca together$/,
    ],
    [
      'TLS without any keys',
      `${HEAD}nbd: { tls: { mode: allowed } }\n`,
      /nbd\.tls: found no keys, expected cert, key and ca, or psk, or all of them$/,
    ],
  ])('%s', (_what, text, expected) => {
    const faults = faultsOf(text);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(expected);
  });
});

describe('contradictions', () => {
  test.each([
    [
      'ranges that overlap',
      HEAD.replace(
        '24 }',
        '24, pool: [{ from: 10.0.0.5, to: 10.0.0.9 }, { from: 10.0.0.9, to: 10.0.0.12 }] }',
      ),
      /network\.pool\[1\]: found 10\.0\.0\.9 to 10\.0\.0\.12, which overlaps 10\.0\.0\.5 to 10\.0\.0\.9/,
    ],
    [
      'more addresses than are searched',
      `state: s\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 8, pool: [{ from: 10.1.0.0, to: 10.1.255.255 }, { from: 10.2.0.0, to: 10.2.0.0 }] }\n`,
      /network: found 65537 addresses, expected at most 65536 in one network/,
    ],
    [
      'bits behind the prefix',
      subnets('{ network: 10.0.1.1/24 }'),
      /found 10\.0\.1\.1\/24, which has bits behind its prefix/,
    ],
    [
      "a subnet over the nodes' network",
      subnets('{ network: 10.0.0.0/16 }'),
      /which overlaps 10\.0\.0\.1\/24/,
    ],
    [
      'subnets over each other',
      subnets('{ network: 10.0.1.0/24 }', '{ network: 10.0.1.128/25 }'),
      /subnets\[1\]\.network: found 10\.0\.1\.128\/25, which overlaps 10\.0\.1\.0\/24/,
    ],
    [
      "a subnet's router elsewhere",
      subnets('{ network: 10.0.1.0/24, router: 10.0.2.1 }'),
      /subnets\[0\]\.router: found 10\.0\.2\.1, which is outside/,
    ],
    [
      "a subnet's pool elsewhere",
      subnets('{ network: 10.0.1.0/24, pools: [{ from: 10.0.1.9, to: 10.0.2.1 }] }'),
      /pools\[0\]\.to: found 10\.0\.2\.1, which is outside/,
    ],
    [
      'a circuit of two subnets',
      subnets('{ network: 10.0.1.0/24, circuits: [a] }', '{ network: 10.0.2.0/24, circuits: [a] }'),
      /circuits\[0\]: found 61, already a circuit of dhcp\.subnets\[0\]/,
    ],
    [
      'an option without a value',
      `${HEAD}dhcp: { options: [{ code: 43 }] }\n`,
      /options\[0\]: found no value, expected one of text, hex and addresses/,
    ],
    [
      'an option with two',
      `${HEAD}dhcp: { options: [{ code: 43, text: a, hex: "61" }] }\n`,
      /found text and hex/,
    ],
    [
      'an option for nobody',
      `${HEAD}dhcp: { options: [{ code: 43, text: a, for: { node: n9 } }] }\n`,
      /for\.node: found "n9", expected the name of one of nodes/,
    ],
    [
      'a node in no network',
      node('mac: "52:54:00:00:00:01", address: 10.0.2.2'),
      /found 10\.0\.2\.2, which is outside .*expected a host of the network or of a subnet/,
    ],
    [
      "a node with a subnet's broadcast address",
      node('mac: "52:54:00:00:00:01", address: 10.0.1.255'),
      /which is the broadcast address of 10\.0\.1\.0\/24/,
    ],
    [
      "a node with a subnet's router",
      node('mac: "52:54:00:00:00:01", address: 10.0.1.1'),
      /the router's address/,
    ],
    [
      'two nodes of one circuit',
      `${HEAD}nodes:\n  - { name: a, circuit: p1, address: 10.0.0.2 }\n  - { name: b, circuit: "0x7031", address: 10.0.0.3 }\n`,
      /nodes\[1\]\.circuit: found 7031, already the circuit of nodes\[0\] \(a\)/,
    ],
    [
      'HTTPS on the port of the agents',
      `${HEAD}https: { port: 4747, cert: a.pem, key: b.pem }\n`,
      /https\.port: found 4747, the port of agent/,
    ],
  ])('%s', (_what, text, expected) => {
    const faults = faultsOf(text);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(expected);
  });

  test('a node without an address is one only where the imager gives addresses', () => {
    const text = `${HEAD}nodes: [{ name: a, uid: serial:1 }]\n`;
    expect(faultsOf(text)).toHaveLength(1);
    expect(faultsOf(`${text}dhcp: { mode: proxy }\n`)).toEqual([]);
    expect(
      faultsOf(node('uid: serial:1').replace('1.1 }', '1.1, pools: [{ from: 10.0.1.9, to: 10.0.1.9 }] }')),
    ).toEqual([]);
  });
});

test('architectures: numbers and names are unique, each leads to the other', () => {
  for (const each of ARCHITECTURES) {
    expect(architectureOf(each.number)).toBe(each);
    expect(architectureNamed(each.name)).toBe(each);
  }
  expect(architectureOf(7)?.name).toBe('efi-x64');
  expect(architectureOf(16)).toMatchObject({ name: 'http-x64', http: true, kind: 'efi' });
  expect(architectureOf(0x16)).toMatchObject({ name: 'uboot-arm64', http: false, kind: 'uboot' });
  expect(architectureOf(999)).toBeUndefined();
});

test('a network has its first and last address for itself, all between for hosts', () => {
  const octet = fc.nat(255);
  fc.assert(
    fc.property(octet, octet, octet, octet, fc.integer({ min: 8, max: 30 }), (a, b, c, d, prefix) => {
      const text = `${a}.${b}.${c}.${d}`;
      expect(parseNetwork(`${text}/${prefix}`)).toEqual({ address: text, prefix });
      const { first, last } = networkRange(text, prefix);
      expect(last - first + 1).toBe(2 ** (32 - prefix));
      const own = ((a * 256 + b) * 256 + c) * 256 + d;
      expect(own >= first && own <= last).toBe(true);
      expect(hostFault(text, text, prefix) === undefined).toBe(own !== first && own !== last);
    }),
  );
});
