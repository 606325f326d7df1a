/** U-Boot itself reads the environment that a boot pointer was written to, and writes one that we read. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openPointerStore } from '../../agent/linux/eeprom.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { ENVIRONMENT_SIZE, writeFlash } from '../../firmware-stubs/rig/uboot-environment.ts';
import { FIELDS } from '../pointer/stores.ts';
import { runMachine } from './machine.ts';

const SIZE = ENVIRONMENT_SIZE.toString(16);
const SECTORS = (ENVIRONMENT_SIZE / 512).toString(16);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fw-env-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const storeOn = (path: string) => {
  writeFileSync(`${path}.config`, `${path} 0 ${SIZE}\n`);
  return openPointerStore(new NodeHost(), 'fw-env', `${path}.config`);
};

test('each reads what the other wrote', { timeout: 120_000 }, async () => {
  const [flash, disk] = [join(dir, 'flash'), join(dir, 'disk')];
  const bootcmd = [
    `echo; echo SAID \${bw_sequence} \${bw_image} \${bw_disks} \${board}`,
    'setenv bw_image omega; setenv bw_sequence 9',
    `env export -c -s 0x${SIZE} 0x40200000 && virtio scan && virtio write 0x40200000 0 ${SECTORS} && echo WRITTEN`,
    'poweroff',
  ].join('; ');
  await writeFlash(
    flash,
    new Map([
      ['board', 'kept'],
      ['bootcmd', bootcmd],
      ['bootdelay', '-2'],
    ]),
  );
  storeOn(flash).write(FIELDS);
  writeFileSync(disk, new Uint8Array(ENVIRONMENT_SIZE));

  const said = await runMachine(60, [
    ...['qemu-system-aarch64', '-machine', 'virt,accel=tcg', '-cpu', 'cortex-a57', '-m', '256'],
    ...['-bios', '/usr/lib/u-boot/qemu_arm64/u-boot.bin'],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${flash}`],
    ...['-drive', `if=none,id=disk,format=raw,file=${disk}`, '-device', 'virtio-blk-device,drive=disk'],
  ]);
  expect(said).toMatch(/SAID 1 alpha root,data kept\r?\n/);
  expect(said).toContain('WRITTEN');

  const written = storeOn(disk);
  expect(written.read()).toMatchObject({ active: 0, pointer: { ...FIELDS, image: 'omega', sequence: 9 } });
  expect(written.write({ ...FIELDS, image: 'psi' }).sequence).toBe(10);
});
