import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bootFileFor, httpBase } from '../../imager/service/boot-choice.ts';
import { type DiskPolicyWorld, mayOpen } from '../../imager/service/disk-policy.ts';
import { lockState } from '../../imager/service/state-lock.ts';

describe('which boot file', () => {
  const offer = {
    ipxe: new Set(['ipxe/undionly.kpxe', 'ipxe/ipxe.efi']),
    httpBase: 'http://10.0.0.1:8080',
    image: 'base',
  };
  const pxe = (arch: number) => ({ isNode: true, arch, vendorClass: 'PXEClient:Arch:0:UNDI:003016' });
  test.each([
    ['a BIOS ROM', pxe(0), 'ipxe/undionly.kpxe'],
    [
      'a BIOS ROM that says no architecture',
      { isNode: true, vendorClass: 'PXEClient' },
      'ipxe/undionly.kpxe',
    ],
    ['UEFI x64, the second choice where the first is not installed', pxe(7), 'ipxe/ipxe.efi'],
    ['UEFI x64 as some firmware numbers it', pxe(9), 'ipxe/ipxe.efi'],
    ['UEFI arm64, which Debian has no iPXE for', pxe(11), undefined],
    ['an architecture nobody knows', pxe(99), undefined],
    ['iPXE', { ...pxe(0), userClass: 'iPXE' }, 'http://10.0.0.1:8080/images/base/boot.ipxe'],
    ['iPXE of a machine that is no node', { ...pxe(0), userClass: 'iPXE', isNode: false }, undefined],
    ['U-Boot', { isNode: true, arch: 22, vendorClass: 'U-Boot.armv8' }, undefined],
    ['an operating system', { isNode: true }, undefined],
  ])('%s', (_who, client, file) => {
    expect(bootFileFor(client, offer)).toBe(file);
  });
  test('iPXE gets nothing where no image is configured', () => {
    const { image, ...none } = offer;
    expect(bootFileFor({ isNode: true, userClass: 'iPXE' }, none)).toBeUndefined();
  });
  test('the port is left out where it is 80', () => {
    expect([httpBase('10.0.0.1', 80), httpBase('10.0.0.1', 8080)]).toEqual([
      'http://10.0.0.1',
      'http://10.0.0.1:8080',
    ]);
  });
});

describe('who may open a disk', () => {
  const world: DiskPolicyWorld = {
    network: { address: '10.0.0.1', prefix: 24 },
    ownerOf: (disk) => ({ d1: 'node1', lost: 'gone' })[disk],
    addressOf: (node) => ({ node1: '10.0.0.11', node2: '10.0.0.12' })[node],
  };
  test.each([
    ['its node', 'd1', '10.0.0.11', true],
    ['another node', 'd1', '10.0.0.12', `disk "d1" is node1's: the boot pointer there names it`],
    ['the imager itself', 'd1', '10.0.0.1', true],
    ['anybody where no pointer names it', 'free', '10.0.0.99', true],
    [
      'nobody outside the network',
      'free',
      '10.0.1.99',
      `10.0.1.99 is outside the nodes' network 10.0.0.1/24`,
    ],
    ['nobody where its node has no known address', 'lost', '10.0.0.11', expect.stringContaining("gone's")],
  ])('%s', (_who, disk, address, verdict) => {
    expect(mayOpen(disk, { address }, world)).toEqual(verdict);
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
