import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bootFileFor, httpBase } from '../../imager/service/boot-choice.ts';
import { claimOn, type DiskPolicyWorld, mayOpen } from '../../imager/service/disk-policy.ts';
import { parseKeys } from '../../imager/service/nbd-tls.ts';
import { lockState } from '../../imager/service/state-lock.ts';

describe('which boot file', () => {
  const offer = {
    ipxe: new Set(['ipxe/undionly.kpxe', 'ipxe/ipxe.efi']),
    httpBase: 'http://10.0.0.1:8080',
    files: { 'efi-arm64': 'arm/grubaa64.efi', 'http-arm64': '/arm/grubaa64.efi', 'uboot-arm64': 'boot.scr' },
  };
  const node = { image: 'base', file: undefined };
  const pxe = (arch: number) => ({ node, arch, vendorClass: 'PXEClient:Arch:0:UNDI:003016' });
  const http = (arch: number) => ({ node, arch, vendorClass: 'HTTPClient:Arch:00016:UNDI:003016' });
  const ipxe = (own = {}) => ({ ...pxe(0), userClass: 'iPXE', node: { ...node, ...own } });
  test.each([
    ['a BIOS ROM', pxe(0), 'ipxe/undionly.kpxe'],
    ['a BIOS ROM that says no architecture', { node, vendorClass: 'PXEClient' }, 'ipxe/undionly.kpxe'],
    ['UEFI x64, the second choice where the first is not installed', pxe(7), 'ipxe/ipxe.efi'],
    ['UEFI x64 as some firmware numbers it', pxe(9), 'ipxe/ipxe.efi'],
    ['UEFI arm64, for which a file is configured', pxe(11), 'arm/grubaa64.efi'],
    ['HTTP boot: a URL of this imager', http(16), 'http://10.0.0.1:8080/ipxe/ipxe.efi'],
    ['HTTP boot, from the configuration', http(19), 'http://10.0.0.1:8080/arm/grubaa64.efi'],
    ['HTTP boot, told a URL', { ...http(16), node: { ...node, file: 'https://x/a.efi' } }, 'https://x/a.efi'],
    ['a node with a file of its own', { ...pxe(7), node: { ...node, file: 'x/shim.efi' } }, 'x/shim.efi'],
    ['iPXE', ipxe(), 'http://10.0.0.1:8080/boot.ipxe'],
    ['iPXE of a node with a file of its own', ipxe({ file: 'site/n1.ipxe' }), 'site/n1.ipxe'],
    [
      'iPXE of a node whose firmware is told to load iPXE: not for ever',
      ipxe({ file: '/ipxe/snponly.efi' }),
      'http://10.0.0.1:8080/boot.ipxe',
    ],
    ['U-Boot, for which a file is configured', { node, arch: 22, vendorClass: 'U-Boot.armv8' }, 'boot.scr'],
  ])('%s', (_who, client, file) => {
    expect(bootFileFor(client, offer)).toEqual({ file });
  });
  test.each([
    ['an architecture nobody knows', pxe(99), /architecture 99/],
    ['an architecture Debian has no iPXE for', pxe(27), /64-bit RISC-V UEFI .*boot\.files\.efi-riscv64/],
    ['HTTP boot where iPXE is for others', http(15), /boot\.files\.http-ia32/],
    ['iPXE of a machine that is no node', { ...pxe(0), userClass: 'iPXE', node: undefined }, /no node/],
  ])('%s: none, and why', (_who, { node: own, ...client }, why) => {
    expect(bootFileFor(own === undefined ? client : { ...client, node: own }, offer)).toEqual({
      why: expect.stringMatching(why),
    });
  });
  test('iPXE is told that no image is configured, ROMs that iPXE is not installed', () => {
    const none = { ...offer, ipxe: new Set<string>() };
    expect(bootFileFor(ipxe({ image: null }), none)).toEqual({ why: expect.stringMatching(/boot\.image/) });
    expect(bootFileFor(pxe(0), none)).toEqual({
      why: expect.stringMatching(/not installed.*boot\.files\.bios/),
    });
  });
  test.each([
    ['U-Boot, which obeys its pointer', { node, vendorClass: 'U-Boot' }],
    ['an operating system', { node }],
  ])('%s asks for none', (_who, client) => {
    expect(bootFileFor(client, offer)).toBeUndefined();
  });
  test('the port is left out where it is 80', () => {
    expect([httpBase('10.0.0.1', 80), httpBase('10.0.0.1', 8080)]).toEqual([
      'http://10.0.0.1',
      'http://10.0.0.1:8080',
    ]);
  });
});

const ADDRESSES: Record<string, readonly string[]> = {
  node1: ['10.0.0.11', '10.0.0.21'],
  node2: ['10.0.0.12'],
};

describe('who may open a disk', () => {
  const world: DiskPolicyWorld = {
    network: { address: '10.0.0.1', prefix: 24 },
    subnets: [{ network: '10.0.2.0', prefix: 24 }],
    ownerOf: (disk) => ({ d1: 'node1', lost: 'gone' })[disk],
    nodeNamed: (identity) => ({ node1: 'node1', '9f0c': 'node1', node2: 'node2' })[identity],
    isAt: (node, address) => ADDRESSES[node]?.includes(address) === true,
  };
  test.each([
    ['its node', 'd1', '10.0.0.11', true],
    ['its node where its definition has it', 'd1', '10.0.0.21', true],
    [
      'another node',
      'd1',
      '10.0.0.12',
      `disk "d1" is node1's: its boot pointer names it, or a flash with it did not end`,
    ],
    ['the imager itself', 'd1', '10.0.0.1', true],
    ['anybody where no pointer names it', 'free', '10.0.0.99', true],
    [
      'nobody outside the network',
      'free',
      '10.0.1.99',
      `10.0.1.99 is outside the nodes' network 10.0.0.1/24 and all subnets`,
    ],
    ['anybody behind a relay agent', 'free', '10.0.2.99', true],
    ['nobody where its node has no known address', 'lost', '10.0.0.11', expect.stringContaining("gone's")],
  ])('%s', (_who, disk, address, verdict) => {
    expect(mayOpen(disk, { address }, world)).toEqual(verdict);
  });
});

test('a disk that a node needs at its next boot is claimed, no other is', () => {
  const none = { owner: undefined, keyOf: undefined };
  expect(claimOn('d', none)).toBeUndefined();
  expect(claimOn('d', { ...none, owner: 'node1' })).toMatch(
    /^disk "d" is node1's: .*flash node1 with another/,
  );
  expect(claimOn('d', { ...none, keyOf: 'node2' })).toMatch(/^disk "d" has the key of node2/);
});

describe('who may open a disk, known by TLS', () => {
  const world: DiskPolicyWorld = {
    network: { address: '10.0.0.1', prefix: 24 },
    subnets: [],
    ownerOf: (disk) => ({ d1: 'node1' })[disk],
    nodeNamed: (identity) => ({ node1: 'node1', '9f0c': 'node1', node2: 'node2' })[identity],
    isAt: (node, address) => ADDRESSES[node]?.includes(address) === true,
  };
  test.each<[string, string, string, string, true | RegExp]>([
    ['its node, by name, from anywhere', 'd1', '192.0.2.7', 'node1', true],
    ['its node, by UID', 'd1', '10.0.0.99', '9f0c', true],
    ['another node, though it has the address', 'd1', '10.0.0.11', 'node2', /node1's/],
    ['another node, though on the imager itself', 'd1', '10.0.0.1', 'node2', /node1's/],
    ['any node where no pointer names it', 'free', '10.0.0.11', 'node2', true],
    [
      'nobody who is no node, though it has the address',
      'd1',
      '10.0.0.11',
      'mallory',
      /neither name nor UID/,
    ],
    ['the imager itself, whatever it is called', 'd1', '10.0.0.1', 'operator', true],
  ])('%s', (_who, disk, address, identity, verdict) => {
    const found = mayOpen(disk, { address, identity }, world);
    expect(found).toEqual(verdict === true ? true : expect.stringMatching(verdict));
  });
});

describe('pre-shared keys in a file', () => {
  const key = 'ab'.repeat(32);
  test('as psktool writes them', () => {
    expect(parseKeys(`node1:${key}\n\nnode2:${key.toUpperCase()}\n`, 'k.psk')).toEqual(
      new Map(['node1', 'node2'].map((name) => [name, Buffer.from(key, 'hex')])),
    );
  });
  test.each([
    [`node1:${key}\nnode2 ${key}`, 'k.psk:2: not NAME:KEY with a hexadecimal key'],
    [`node1:${key}0`, 'k.psk:1: not NAME:KEY with a hexadecimal key'],
    [`:${key}`, 'k.psk:1: not NAME:KEY with a hexadecimal key'],
    ['node1:abcd', 'k.psk:1: a key of 2 bytes; it has 16 to 64'],
    [`node1:${key}\n\nnode1:${key}`, 'k.psk:3: node1 a second time'],
    ['\n', 'k.psk: no keys'],
  ])('%j is refused', (text, words) => {
    expect(() => parseKeys(text, 'k.psk')).toThrow(words);
  });
});

test('the state lock is held against other processes and given back', () => {
  const dir = mkdtempSync(join(tmpdir(), 'lock-'));
  const taken = () => {
    try {
      execFileSync('flock', ['--nonblock', join(dir, 'lock'), 'true']);
      return false;
    } catch {
      return true;
    }
  };
  const lock = lockState(dir);
  expect(taken()).toBe(true);
  expect(() => lockState(dir)).toThrow(new RegExp(`in use by another imager \\(process ${process.pid}\\)`));
  lock.release();
  expect(taken()).toBe(false);
  lockState(dir).release();
  rmSync(dir, { recursive: true });
});
