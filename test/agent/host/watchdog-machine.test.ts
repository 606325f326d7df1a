/**
 * A watchdog that restarts a QEMU machine whose process 1 hangs, and none that is well. It is the kernel's own (softdog), which has
 * the interface of the hardware and restarts the machine itself: Debian's cloud kernels have no driver for the chips that QEMU has.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildAgent } from '../../../agent/quickjs/build.ts';
import { type CpioEntry, writeCpio } from '../../../imager/images/cpio.ts';
import { DebianPackages } from '../../../imager/images/debian.ts';
import { readModules } from '../../../imager/images/modules.ts';
import { endsWithTest } from '../../support/ends-with-test.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootwright-watched-'));
const initramfs = join(folder, 'initramfs');
let kernel = '';
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  const packages = new DebianPackages({ arch: 'amd64', cacheDir: 'build/cache' });
  const [meta] = await packages.fetch(['linux-image-cloud-amd64']);
  const [image] = await packages.fetch([/linux-image-[a-z0-9.+-]+/.exec(meta!.depends)![0]]);
  const unpacked = await packages.unpack(image!);
  const release = image!.name.replace('linux-image-', '');
  const modules = await readModules(join(unpacked, 'lib/modules', release), ['softdog']);
  kernel = join(unpacked, 'boot', `vmlinuz-${release}`);
  const init = join(folder, 'init');
  await buildAgent({ arch: 'amd64', out: init, entry: 'test/agent/host/programs/watched.ts' });
  const order = modules.map(({ name }) => `/modules/${name}.ko`).join('\n');
  const entries: CpioEntry[] = [
    ...['dev', 'proc', 'modules'].map((path): CpioEntry => ({ path, type: 'directory' })),
    { path: 'dev/console', type: 'character-device', major: 5, minor: 1 },
    { path: 'init', type: 'file', content: readFileSync(init), mode: 0o755 },
    ...modules.map(({ name, content }): CpioEntry => ({ path: `modules/${name}.ko`, type: 'file', content })),
    { path: 'modules/order', type: 'file', content: Buffer.from(order) },
  ];
  writeFileSync(initramfs, writeCpio(entries));
}, 200_000);

/** Runs the machine until it is restarted (QEMU ends then) or ends by itself; the steps it told. */
async function run(word: string): Promise<string[]> {
  const args = [
    ...[
      '100',
      'qemu-system-x86_64',
      '-machine',
      'q35',
      '-accel',
      'tcg',
      '-m',
      '192',
      '-nographic',
      '-no-reboot',
    ],
    ...[
      '-kernel',
      kernel,
      '-initrd',
      initramfs,
      '-append',
      `console=ttyS0 quiet panic=-1 cryptomgr.notests mitigations=off ${word}`,
    ],
  ];
  const machine = endsWithTest(spawn('timeout', args, { stdio: ['ignore', 'pipe', 'inherit'] }));
  let log = '';
  machine.stdout.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  const [code] = await once(machine, 'close');
  expect(code, log).toBe(0);
  return [...log.matchAll(/STEP (.*?)\r?\n/g)].map(([, step]) => step!);
}

test('restarts a machine whose agent hangs, and leaves one alone that is well', async () => {
  expect(await run('hang')).toEqual(['watched 4', 'healthy']);
}, 110_000);

test('leaves a machine alone whose agent took its leave', async () => {
  expect(await run('leave')).toEqual(['watched 4', 'healthy', 'survived']);
}, 110_000);
