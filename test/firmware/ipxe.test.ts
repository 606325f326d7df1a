/** firmware-stubs/ipxe/eeprom.ipxe in Debian's own iPXE, on the rig, against dnsmasq and busybox httpd. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { LARGEST_LOCAL_SLOT, LocalSlots } from '../../agent/protocol/local-slots.ts';
import { ipxeScript } from '../../agent/protocol/pointer/ipxe-script.ts';
import type { SlotIndex } from '../../agent/protocol/pointer/layout.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { definitionOf } from '../local/definitions.ts';
import {
  ADDRESS,
  bootsLinux,
  bootWithBlankInHostName,
  firmwareBoot,
  GATEWAY,
  openBootLab,
  pointer,
} from './boot-lab.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 90_000 };
vi.setConfig({ testTimeout: 90_000 });
const BLANK = resolve(import.meta.dirname, '../../firmware-stubs/ipxe/eeprom.ipxe');

let boot: Awaited<ReturnType<typeof openBootLab>>;
beforeAll(async () => {
  boot = await openBootLab('x86');
});
afterEach(() => boot.node.cutPower());
afterAll(() => boot?.close());

/** An EEPROM to which the records were written one after the other. */
async function store(...writes: [SlotIndex, BootPointer][]): Promise<void> {
  const image = new Uint8Array(0x4000);
  image.set(await readFile(BLANK));
  image.set(behind(), 0x2000);
  for (const [slot, record] of writes)
    for (const { offset, bytes } of ipxeScript.patches(image, slot, record)) image.set(bytes, offset);
  await writeFile(boot.eeprom, image);
}

/** What a local store may hold, at its worst for whoever takes it for a script: labels, commands, every byte, a line without end. */
function behind(): Uint8Array {
  const bytes = new Uint8Array(0x2000);
  new LocalSlots(
    {
      read: (offset, length) => bytes.slice(offset, offset + length),
      write: (offset, written) => bytes.set(written, offset),
    },
    LARGEST_LOCAL_SLOT,
  ).define({ ...definitionOf(1), key: Buffer.from('\n:slot_0\n:slot_1\n:boot\nexit\n:no_') });
  const text =
    '\n#!ipxe\n:slot_0\n:slot_1\n:boot\n:next_imager\n:no_pointer\n:retry\necho bootwright: firmware boot stranger\n';
  bytes.set(Buffer.from(text), 2 * LARGEST_LOCAL_SLOT);
  for (let at = 2 * LARGEST_LOCAL_SLOT + text.length; at < bytes.length; at++)
    bytes[at] = at % 256 === 0x0a ? 0 : at;
  return bytes;
}

test('the blank EEPROM has its areas where README.md says', async () => {
  const bytes = await readFile(BLANK);
  expect(bytes.length).toBe(0x2000);
  expect(bytes.every((byte) => byte === 0x0a || (byte >= 0x20 && byte < 0x7f))).toBe(true);
  expect(bytes.subarray(0, 7).toString()).toBe('#!ipxe\n');
  expect(bytes.subarray(0x200, 0x400).toString()).toBe(`${'set bw_slot x\n'.padEnd(0x1ff)}\n`);
  expect(bytes.subarray(0x800, 0x1000).toString()).toBe(`${' '.repeat(0x7ff)}\n`);
  expect(bytes.subarray(0x1000, 0x1800).toString()).toBe(`${' '.repeat(0x7ff)}\n`);
  expect(bytes.subarray(0x1800, 0x1806).toString()).toBe(':boot\n');
  for (const end of [0x200, 0x400, 0x800, 0x2000]) expect(bytes[end - 1]).toBe(0x0a);
});

test('a node boots what its pointer names, and hands over pointer, address and UID', async () => {
  await store([0, pointer({ image: 'linux' })]);
  expect(await bootsLinux(boot.node, IN_TIME.withinMs)).toBe(
    'initrd=initrd bootwright.image=linux bootwright.pointer=ipxe-script:/dev/vda ' +
      `ip=${ADDRESS}::${GATEWAY}:255.255.255.0:host-1:eth0:off console=ttyS0 quiet panic=1`,
  );
});

test('a host name with a blank becomes no argument of the kernel', async () => {
  await store([0, pointer({ image: 'linux' })]);
  expect(await bootWithBlankInHostName(boot, IN_TIME.withinMs)).toMatch(
    /:255\.255\.255\.0:a%20init%3D%2Fx:eth0:off console=/,
  );
});

test('the digit decides, and the longest record is understood', async () => {
  const name = (letter: string) => letter.repeat(63);
  const longest = pointer({
    sequence: 4294967295,
    image: 'beta',
    disks: [...'abcdefgh'].map(name),
    imagers: ['10.77.0.1', '192.168.100.101', '192.168.100.102', '192.168.100.103'],
    cluster: name('c'),
    deployment: 'd'.repeat(32),
    attempts: 255,
    fallback: name('f'),
  });
  await store([0, pointer()], [1, longest]);
  expect(await firmwareBoot(boot.node, IN_TIME.withinMs)).toContain('pointer image=beta slot=1 attempts=255');
});

test('an imager that has no such image is left for the next one', async () => {
  await store([0, pointer({ imagers: ['10.77.0.99', '10.77.0.1'] })]);
  const said = await firmwareBoot(boot.node, IN_TIME.withinMs);
  expect(said.at(-2)).toMatch(/^error imager 10\.77\.0\.99: /);
  expect(said.at(-1)).toBe('boot alpha');
});

test('an imager that has only part of the image is left for the next one, which gives all of it', async () => {
  const part = join(boot.dir, 'part/images/linux');
  await mkdir(part, { recursive: true });
  for (const name of ['boot.ipxe', 'kernel'])
    await symlink(join(boot.dir, 'boot/images/linux', name), join(part, name));
  const web = `busybox httpd -p 10.77.0.2:80 -h ${join(boot.dir, 'part')} </dev/null >/dev/null 2>&1`;
  await boot.lab.space.check(['sh', '-ec', `ip address add 10.77.0.2/24 dev br0; ${web}`]);
  await store([0, pointer({ image: 'linux', imagers: ['10.77.0.2', '10.77.0.1'] })]);
  await boot.node.powerOn();
  await boot.node.waitForLine(/^given cmdline=/, IN_TIME);
  expect(boot.node.serial()).toMatch(/error imager 10\.77\.0\.2: /);
});

test('no pointer: it says so and starts again', async () => {
  await store();
  await boot.node.powerOn();
  const before = boot.node.boots;
  expect((await boot.node.waitForStep('error', IN_TIME)).reason).toBe('no boot pointer in the EEPROM');
  await boot.node.waitForStep('error', { ...IN_TIME, boot: before + 2 });
});

test('a reboot from Linux obeys what the EEPROM says by then', async () => {
  await store([0, pointer({ image: 'again' })]);
  const first = boot.node.boots + 1;
  await firmwareBoot(boot.node, IN_TIME.withinMs);
  await store([0, pointer({ image: 'again' })], [1, pointer({ image: 'beta' })]);
  const event = await boot.node.waitForStep('boot', { ...IN_TIME, boot: first + 1 });
  expect(event.detail?.image).toBe('beta');
});

test('a failed wait shows the serial line and where its log is', async () => {
  await store([0, pointer({ image: 'missing' })]);
  await boot.node.powerOn();
  await boot.node.waitForLine(/error no imager gave image missing/, IN_TIME);
  const failure = boot.node.waitForStep('ready', { withinMs: 100 });
  await expect(failure).rejects.toThrow(/step "ready": not within 100 ms[\s\S]*firmware load missing/);
  await expect(failure).rejects.toThrow(join(boot.dir, 'n1.serial.log'));
});
