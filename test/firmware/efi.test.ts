/** Boot pointers and boot options as UEFI variables: OVMF, Linux' efivarfs, efivar and efibootmgr, across a power cycle. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildAgent } from '../../agent/quickjs/build.ts';
import { UEFI_VARIABLES } from '../../firmware-stubs/rig/qemu.ts';
import { type CpioEntry, writeCpio } from '../../imager/images/cpio.ts';
import { DebianPackages } from '../../imager/images/debian.ts';
import { readModules } from '../../imager/images/modules.ts';

const TOOLS = ['efivar', 'efibootmgr', 'libefivar1', 'libefiboot1', 'libpopt0', 'libc6'];
const OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd';

let folder: string;
let kernel: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'efi-'));
  const packages = new DebianPackages({ arch: 'amd64', cacheDir: 'build/cache' });
  const [meta] = await packages.fetch(['linux-image-cloud-amd64']);
  const [image] = await packages.fetch([/linux-image-[a-z0-9.+-]+/.exec(meta!.depends)![0]]);
  const unpacked = await packages.unpack(image!);
  const release = image!.name.replace('linux-image-', '');
  kernel = join(unpacked, 'boot', `vmlinuz-${release}`);
  const modules = await readModules(join(unpacked, 'lib/modules', release), ['efivarfs']);
  const init = join(folder, 'init');
  await buildAgent({ arch: 'amd64', out: init, entry: 'test/firmware/programs/efi-guest.ts' });
  writeFileSync(
    join(folder, 'initramfs'),
    writeCpio([
      ...['dev', 'proc', 'sys', 'modules', 'bin', 'lib', 'lib64'].map(
        (path): CpioEntry => ({ path, type: 'directory' }),
      ),
      { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
      { path: 'init', type: 'file', content: readFileSync(init), mode: 0o755 },
      ...modules.map(
        ({ name, content }): CpioEntry => ({ path: `modules/${name}.ko`, type: 'file', content }),
      ),
      {
        path: 'modules/order',
        type: 'file',
        content: Buffer.from(modules.map(({ name }) => `/modules/${name}.ko`).join('\n')),
      },
      ...(await programs(packages)),
    ]),
  );
  copyFileSync(UEFI_VARIABLES, join(folder, 'variables'));
}, 300_000);
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
        entries.push({ path, type: 'file', mode: 0o755, content: readFileSync(source) });
    }
  }
  return entries;
}

/** Runs the machine until it is off; the steps it said. */
async function boot(number: number): Promise<string[]> {
  const machine = spawn(
    'timeout',
    [
      ...['120', 'qemu-system-x86_64', '-machine', 'q35,accel=tcg,smm=off,vmport=off,hpet=off'],
      ...['-cpu', 'Nehalem,+rdrand', '-m', '256', '-nodefaults', '-no-user-config', '-no-reboot'],
      ...['-display', 'none', '-serial', 'stdio'],
      ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${OVMF}`],
      ...['-drive', `if=pflash,unit=1,format=raw,file=${join(folder, 'variables')}`],
      ...['-kernel', kernel, '-initrd', join(folder, 'initramfs')],
      ...['-append', `console=ttyS0 quiet panic=-1 guest.boot=${number}`],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  machine.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(machine, 'close');
  expect(code, said).toBe(0);
  return [...said.matchAll(/STEP (.*?)\r?$/gm)].map(([, step]) => step!);
}

test('pointers and boot options outlive the power, and the tools agree', { timeout: 300_000 }, async () => {
  const first = await boot(1);
  expect(first).toEqual([
    'fresh empty empty - - -',
    'written valid valid 0 gamma 3',
    'immutable EPERM',
    expect.stringMatching(/^options 0=(.+),16=\1$/),
    'order 16 16,0',
    'efibootmgr BootNext: 0010 BootOrder: 0010,0000',
    'efivar BWP1',
  ]);

  expect(await boot(2)).toEqual([
    'kept valid valid 0 gamma 3',
    'order 16 16,0',
    'order 16 0,16',
    'damaged torn valid 1 beta 2',
    'mended valid valid 0 delta 3',
  ]);
});
