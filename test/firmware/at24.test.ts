/** Boot pointers through Linux' at24 driver, on chips that the kernel's i2c-stub plays. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DebianPackages } from '../../imager/images/debian.ts';
import { prepareGuest, programEntry } from './guest.ts';
import { runMachine, stepsIn } from './machine.ts';

let folder: string;
let guest: string[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'at24-'));
  const packages = new DebianPackages({ arch: 'amd64', cacheDir: 'build/cache' });
  const [busybox] = await packages.fetch(['busybox-static']);
  guest = await prepareGuest(folder, {
    packages,
    // Not the cloud kernel: it has no I2C.
    kernel: 'linux-image-amd64',
    modules: ['i2c_stub', 'at24'],
    program: 'at24-guest.ts',
    entries: [programEntry('bin/busybox', join(await packages.unpack(busybox!), 'bin/busybox'))],
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('three pointers on a 24C02 and on a 24C16', { timeout: 150_000 }, async () => {
  const said = await runMachine(120, [
    ...['qemu-system-x86_64', '-machine', 'pc,accel=tcg,smm=off,vmport=off,hpet=off'],
    ...['-cpu', 'Nehalem,+rdrand', '-m', '256', ...guest],
    ...['-append', 'console=ttyS0 quiet panic=-1 cryptomgr.notests mitigations=off'],
  ]);
  expect(stepsIn(said)).toEqual([
    '24c02 - alpha 1 256',
    '24c02 alpha beta 2 256',
    '24c02 beta gamma 3 256',
    '24c16 - alpha 1 2048',
    '24c16 alpha beta 2 2048',
    '24c16 beta gamma 3 2048',
  ]);
});
