import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type BootFiles, memoryFile, NotServed } from '../../imager/images/boot-files.ts';
import { installedIpxe } from '../../imager/images/tree.ts';
import { architectureNamed } from '../../imager/model/architectures.ts';
import type { ImagerConfig } from '../../imager/model/config.ts';
import { bootFileFault, bootFileFaults } from '../../imager/service/boot-file-check.ts';
import { asKernel } from '../support/kernels.ts';

/** Debian's own iPXE: a UEFI program and a network boot program. */
const ipxe = installedIpxe();
const EFI = readFileSync(ipxe['ipxe/snponly.efi']!);
const NBP = readFileSync(ipxe['ipxe/undionly.kpxe']!);
const KERNEL = asKernel('amd64', Buffer.alloc(8192));

test.each([
  ['efi-x64', EFI, undefined],
  ['efi-bc', EFI, undefined],
  ['http-x64', EFI, undefined],
  ['bios', NBP, undefined],
  ['efi-arm64', EFI, /a UEFI program for amd64, and 64-bit Arm UEFI starts those for arm64/],
  ['http-arm64', EFI, /a UEFI program for amd64/],
  ['efi-ia32', EFI, /those for i386/],
  ['efi-x64', NBP, /no UEFI program/],
  ['bios', EFI, /a UEFI program for amd64, and x86 BIOS starts network boot programs/],
  ['bios', KERNEL, /a Linux kernel.*undionly\.kpxe/],
  ['uboot-arm64', NBP, undefined],
  ['efi-loongarch64', NBP, undefined],
  ['efi-x64', new Uint8Array(), /no UEFI program/],
])('%s', (name, bytes, fault) => {
  const found = bootFileFault(architectureNamed(name)!, bytes);
  if (fault === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(fault);
});

test('everything the configuration names, each in one sentence; what others serve is their business', async () => {
  const files: BootFiles = {
    open: async (path, { address }) => {
      if (path === 'theirs' && address === '10.77.0.13') return memoryFile(EFI);
      if (path === 'mine' || path === 'theirs') throw new NotServed('only for who has a pointer');
      return path === 'ipxe/snponly.efi' ? memoryFile(EFI) : undefined;
    },
  };
  const config = {
    network: { address: '10.77.0.1', prefix: 24, leaseSeconds: 60, pools: [] },
    boot: {
      files: {
        'efi-x64': 'ipxe/snponly.efi',
        'efi-arm64': 'ipxe/snponly.efi',
        bios: 'http://10.77.0.1/ipxe/undionly.kpxe',
        'http-x64': 'http://elsewhere/x.efi',
      },
      menu: { items: [{ boot: 'normal' }, { boot: { file: 'gone.0' } }, { boot: 'local' }] },
    },
    nodes: [
      { name: 'n1', boot: { file: 'absent.efi' } },
      { name: 'n2', address: '10.77.0.12', boot: { file: 'mine' } },
      { name: 'n3' },
      { name: 'n4', boot: { file: '/images/rescue/nbi.0' } },
      { name: 'n5', address: '10.77.0.13', boot: { file: 'theirs' } },
      { name: 'from the pool', boot: { file: 'theirs' } },
    ],
  } as unknown as ImagerConfig;
  expect(await bootFileFaults(config, files)).toEqual([
    expect.stringMatching(/^boot\.files\.efi-arm64 names ipxe\/snponly\.efi: it is a UEFI program for amd64/),
    'boot.files.bios names http://10.77.0.1/ipxe/undionly.kpxe: x86 BIOS loads by TFTP, and takes paths alone',
    'boot.file of n1 names absent.efi: there is no such file here',
    'boot.file of n2 names mine: only for who has a pointer',
    'boot.file of n4 names /images/rescue/nbi.0: there is no such file here until an image rescue with it is added',
    'the boot menu names gone.0: there is no such file here',
  ]);
  const elsewhere = { ...config, network: { ...config.network, nextServer: '10.77.0.9' } };
  expect(await bootFileFaults(elsewhere, files)).toHaveLength(1);
});
