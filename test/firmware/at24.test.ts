/** Boot pointers through Linux' at24 driver, on chips that the kernel's i2c-stub plays. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildAgent } from '../../agent/quickjs/build.ts';
import { type CpioEntry, writeCpio } from '../../imager/images/cpio.ts';
import { DebianPackages } from '../../imager/images/debian.ts';
import { readModules } from '../../imager/images/modules.ts';

let folder: string;
let kernel: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'at24-'));
  const packages = new DebianPackages({ arch: 'amd64', cacheDir: 'build/cache' });
  // Not the cloud kernel: it has no I2C.
  const [meta] = await packages.fetch(['linux-image-amd64']);
  const [image, busybox] = await packages.fetch([
    /linux-image-[a-z0-9.+-]+/.exec(meta!.depends)![0],
    'busybox-static',
  ]);
  const unpacked = await packages.unpack(image!);
  const release = image!.name.replace('linux-image-', '');
  kernel = join(unpacked, 'boot', `vmlinuz-${release}`);
  const modules = await readModules(join(unpacked, 'lib/modules', release), ['i2c_stub', 'at24']);
  const init = join(folder, 'init');
  await buildAgent({ arch: 'amd64', out: init, entry: 'test/firmware/programs/at24-guest.ts' });
  const program = (path: string, file: string): CpioEntry => ({
    path,
    type: 'file',
    content: readFileSync(file),
    mode: 0o755,
  });
  writeFileSync(
    join(folder, 'initramfs'),
    writeCpio([
      ...['dev', 'proc', 'sys', 'modules', 'bin'].map((path): CpioEntry => ({ path, type: 'directory' })),
      { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
      program('init', init),
      program('bin/busybox', join(await packages.unpack(busybox!), 'bin/busybox')),
      ...modules.map(
        ({ name, content }): CpioEntry => ({ path: `modules/${name}.ko`, type: 'file', content }),
      ),
      {
        path: 'modules/order',
        type: 'file',
        content: Buffer.from(modules.map(({ name }) => `/modules/${name}.ko`).join('\n')),
      },
    ]),
  );
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('three pointers on a 24C02 and on a 24C16', { timeout: 150_000 }, async () => {
  const machine = spawn(
    'timeout',
    [
      ...[
        '120',
        'qemu-system-x86_64',
        '-machine',
        'pc,accel=tcg,smm=off,vmport=off,hpet=off',
        '-cpu',
        'Nehalem,+rdrand',
      ],
      ...[
        '-m',
        '256',
        '-nodefaults',
        '-no-user-config',
        '-no-reboot',
        '-display',
        'none',
        '-serial',
        'stdio',
      ],
      ...['-kernel', kernel, '-initrd', join(folder, 'initramfs'), '-append', 'console=ttyS0 quiet panic=-1'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  machine.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(machine, 'close');
  expect(code, said).toBe(0);
  expect([...said.matchAll(/STEP (.*?)\r?$/gm)].map(([, step]) => step)).toEqual([
    '24c02 - alpha 1 256',
    '24c02 alpha beta 2 256',
    '24c02 beta gamma 3 256',
    '24c16 - alpha 1 2048',
    '24c16 alpha beta 2 2048',
    '24c16 beta gamma 3 2048',
  ]);
});
