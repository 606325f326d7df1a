/** Boot pointers and boot options as UEFI variables: OVMF, Linux' efivarfs, efivar and efibootmgr, across a power cycle. */
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UEFI_VARIABLES } from '../../firmware-stubs/rig/qemu.ts';
import type { CpioEntry } from '../../imager/images/cpio.ts';
import { DebianPackages } from '../../imager/images/debian.ts';
import { prepareGuest, programEntry } from './guest.ts';
import { runMachine, stepsIn } from './machine.ts';

const TOOLS = ['efivar', 'efibootmgr', 'libefivar1', 'libefiboot1', 'libpopt0', 'libc6'];
const OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd';

let folder: string;
let guest: string[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'efi-'));
  const packages = new DebianPackages({ arch: 'amd64', cacheDir: 'build/cache' });
  guest = await prepareGuest(folder, {
    packages,
    kernel: 'linux-image-cloud-amd64',
    modules: ['efivarfs'],
    program: 'efi-guest.ts',
    entries: await programs(packages),
  });
  copyFileSync(UEFI_VARIABLES, join(folder, 'variables'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The tools and the libraries they need, as Debian packs them. */
async function programs(packages: DebianPackages): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [];
  for (const found of await packages.fetch(TOOLS)) {
    const root = await packages.unpack(found);
    for (const file of readdirSync(root, { recursive: true, withFileTypes: true })) {
      const source = join(file.parentPath, file.name);
      const path = /\/s?bin\/(efivar|efibootmgr)$/.test(source)
        ? `bin/${file.name}`
        : /^(libefi\w+|libpopt|libc|libdl|libm)\.so\.\d+$/.test(file.name)
          ? `lib/${file.name}`
          : file.name === 'ld-linux-x86-64.so.2'
            ? `lib64/${file.name}`
            : undefined;
      if (path !== undefined && !entries.some((entry) => entry.path === path))
        entries.push(programEntry(path, source));
    }
  }
  return entries;
}

/** Runs the machine until it is off; the steps it said. */
async function boot(number: number): Promise<string[]> {
  const said = await runMachine(120, [
    ...['qemu-system-x86_64', '-machine', 'q35,accel=tcg,smm=off,vmport=off,hpet=off'],
    ...['-cpu', 'Nehalem,+rdrand', '-m', '256', ...guest],
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${OVMF}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${join(folder, 'variables')}`],
    ...['-append', `console=ttyS0 quiet panic=-1 cryptomgr.notests mitigations=off guest.boot=${number}`],
  ]);
  return stepsIn(said);
}

test('pointers and boot options outlive the power, and the tools agree', { timeout: 300_000 }, async () => {
  const first = await boot(1);
  expect(first).toEqual([
    'fresh empty empty - - -',
    'written valid valid 0 gamma 3',
    'defined 1 2 true -',
    'beside valid valid 0 gamma 3',
    'immutable EPERM',
    expect.stringMatching(/^options 0=(.+),16=\1$/),
    'order 16 16,0',
    'efibootmgr BootNext: 0010 BootOrder: 0010,0000',
    'efivar BWP1',
  ]);

  expect(await boot(2)).toEqual([
    'kept valid valid 0 gamma 3',
    'defined 1 2 true -',
    'order 16 16,0',
    'order 16 0,16',
    'damaged torn valid 1 beta 2',
    'mended valid valid 0 delta 3',
  ]);
});
