/** firmware-stubs/uboot/boot.env in Debian's own U-Boot, on the rig, against dnsmasq. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { encodeUbootSlot, UBOOT_SLOT_SIZE, ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { consoleLines, decide, storeAfter } from '../../firmware-stubs/simulated/decide.ts';
import {
  ADDRESS,
  bootsLinux,
  bootWithBlankInHostName,
  firmwareBoot,
  GATEWAY,
  openBootLab,
  pointer,
} from './boot-lab.ts';
import { decisionCases, storeOf } from './decisions.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 90_000 };
vi.setConfig({ testTimeout: 90_000 });

let boot: Awaited<ReturnType<typeof openBootLab>>;
beforeAll(async () => {
  boot = await openBootLab('arm64');
});
afterEach(() => boot.node.cutPower());
afterAll(() => boot?.close());

async function store(first: BootPointer | undefined, second: BootPointer | undefined): Promise<Uint8Array> {
  const image = new Uint8Array(ubootEnv.size);
  if (first !== undefined) image.set(encodeUbootSlot(first), 0);
  if (second !== undefined) image.set(encodeUbootSlot(second), UBOOT_SLOT_SIZE);
  await put(image);
  return image;
}

/** What is behind the slots is none of the firmware's business. */
const BEHIND = Buffer.alloc(0x2000, 0x5a);
const put = (slots: Uint8Array) => writeFile(boot.eeprom, Buffer.concat([slots, BEHIND]));
async function slots(): Promise<Uint8Array> {
  const bytes = await readFile(boot.eeprom);
  expect(bytes.subarray(ubootEnv.size)).toEqual(BEHIND);
  return new Uint8Array(bytes.subarray(0, ubootEnv.size));
}

test('a node boots what its pointer names, and hands over pointer, address and UID', async () => {
  const before = await store(pointer({ image: 'linux' }), undefined);
  expect(await bootsLinux(boot.node, IN_TIME.withinMs)).toBe(
    'console=ttyAMA0 quiet panic=1 bootwright.image=linux bootwright.pointer=uboot-env:/dev/vda ' +
      `ip=${ADDRESS}::${GATEWAY}:255.255.255.0:host-1:eth0:off`,
  );
  // Phase ready: the firmware wrote nothing.
  expect(await slots()).toEqual(before);
});

test('a host name with a blank becomes no argument of the kernel', async () => {
  await store(pointer({ image: 'linux' }), undefined);
  expect(await bootWithBlankInHostName(boot, IN_TIME.withinMs)).toMatch(/:255\.255\.255\.0::eth0:off$/);
});

test.each(decisionCases(ubootEnv))('as the table has it: $name', async (given) => {
  const before = storeOf(ubootEnv, given);
  const decision = decide(ubootEnv, before);
  await put(before);
  await boot.node.powerOn();
  await boot.node.waitForStep('error' in decision ? 'error' : 'boot', IN_TIME);
  const said = boot.node.serial().match(/^bootwright: firmware (?:pointer|load|error) .*$/gm) ?? [];
  const expected = consoleLines(decision);
  expect(said.slice(0, expected.length)).toEqual(expected);
  expect(await slots()).toEqual(storeAfter(before, decision));
});

test('counts the attempts in its EEPROM and falls back by itself, over power cycles', async () => {
  await store(pointer({ phase: 'deploy', fallback: 'beta' }), undefined);
  const booted: string[] = [];
  for (let boots = 0; boots < 5; boots++) {
    const said = await firmwareBoot(boot.node, IN_TIME.withinMs);
    booted.push(said.filter((text) => /^(?:pointer|error no|boot) ?/.test(text)).join('; '));
    await boot.node.cutPower();
  }
  const gaveUp =
    'pointer image=alpha slot=1 attempts=0; error no attempts left for alpha: fallback beta; boot beta';
  expect(booted).toEqual([
    'pointer image=alpha slot=0 attempts=3; boot alpha',
    'pointer image=alpha slot=1 attempts=2; boot alpha',
    'pointer image=alpha slot=0 attempts=1; boot alpha',
    ...[gaveUp, gaveUp],
  ]);
});

test('an imager without the image costs no attempt', async () => {
  const before = await store(pointer({ phase: 'deploy', image: 'missing', fallback: 'beta' }), undefined);
  await boot.node.powerOn();
  const event = await boot.node.waitForStep('error', IN_TIME);
  expect(event.reason).toBe('no image missing from 10.77.0.1');
  expect(await slots()).toEqual(before);
});

test('an imager that does not answer is left for the next one', async () => {
  // A host without a TFTP server: dnsmasq serves br0's address alone.
  await boot.lab.space.check('ip link add br1 type bridge'.split(' '));
  await boot.lab.space.check('ip address add 10.77.0.2/32 dev br1'.split(' '));
  await store(pointer({ imagers: ['10.77.0.2', '10.77.0.1'] }), undefined);
  const said = await firmwareBoot(boot.node, IN_TIME.withinMs);
  expect(said.slice(-2)).toEqual(['error no image alpha from 10.77.0.2', 'boot alpha']);
});

test('no pointer: it says so and starts again', async () => {
  await store(undefined, undefined);
  await boot.node.powerOn();
  const before = boot.node.boots;
  const event = await boot.node.waitForStep('error', IN_TIME);
  expect(event.reason).toBe('no boot pointer in the EEPROM');
  await boot.node.waitForStep('error', { ...IN_TIME, boot: before + 2 });
});

test('a reboot from Linux obeys what the EEPROM says by then', async () => {
  await store(pointer({ image: 'again' }), undefined);
  const first = boot.node.boots + 1;
  await firmwareBoot(boot.node, IN_TIME.withinMs);
  await store(pointer({ image: 'again' }), pointer({ sequence: 8, image: 'beta' }));
  const event = await boot.node.waitForStep('boot', { ...IN_TIME, boot: first + 1 });
  expect(event.detail?.image).toBe('beta');
});
