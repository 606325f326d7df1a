/** firmware-stubs/uboot/boot.env in Debian's own U-Boot, on the rig, against dnsmasq. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { encodeUbootSlot, UBOOT_SLOT_SIZE, ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { ADDRESS, firmwareBoot, GATEWAY, openBootLab, pointer, UID } from './boot-lab.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 90_000 };
vi.setConfig({ testTimeout: 90_000 });

let boot: Awaited<ReturnType<typeof openBootLab>>;
beforeAll(async () => {
  boot = await openBootLab('arm64');
}, 120_000);
afterEach(() => boot.node.cutPower());
afterAll(() => boot?.close());

async function store(first: BootPointer | undefined, second: BootPointer | undefined): Promise<Uint8Array> {
  const image = new Uint8Array(ubootEnv.size);
  if (first !== undefined) image.set(encodeUbootSlot(first), 0);
  if (second !== undefined) image.set(encodeUbootSlot(second), UBOOT_SLOT_SIZE);
  await writeFile(boot.eeprom, image);
  return image;
}

test('a node boots what its pointer names, and hands over pointer, address and UID', async () => {
  const before = await store(pointer({ image: 'linux' }), undefined);
  expect(await firmwareBoot(boot.node, IN_TIME.withinMs)).toEqual([
    'start',
    'pointer image=linux slot=0 attempts=3',
    `dhcp ${ADDRESS}`,
    'load linux',
    'boot linux',
  ]);
  const { text } = await boot.node.waitForLine(/^given cmdline=/, IN_TIME);
  expect(text).toBe(
    'given cmdline=console=ttyAMA0 quiet panic=1 bootwright.image=linux bootwright.pointer=uboot-env:/dev/vda ' +
      `ip=${ADDRESS}::${GATEWAY}:255.255.255.0:host-1:eth0:off`,
  );
  expect(boot.node.serial()).toContain(`given uid=${UID}`);
  // Phase ready: the firmware wrote nothing.
  expect(new Uint8Array(await readFile(boot.eeprom))).toEqual(before);
});

test.each([
  ['the larger sequence number wins in slot 1', 99, 100, 'beta', 1],
  ['the larger sequence number wins in slot 0', 4294967295, 4294967294, 'alpha', 0],
])('%s', async (_name, first, second, image, slot) => {
  await store(pointer({ sequence: first }), pointer({ sequence: second, image: 'beta' }));
  expect(await firmwareBoot(boot.node, IN_TIME.withinMs)).toContain(
    `pointer image=${image} slot=${slot} attempts=3`,
  );
});

test('a torn slot is passed over', async () => {
  const image = await store(pointer(), pointer({ sequence: 8, image: 'beta' }));
  image[UBOOT_SLOT_SIZE + 20]! ^= 1;
  await writeFile(boot.eeprom, image);
  expect(await firmwareBoot(boot.node, IN_TIME.withinMs)).toContain('pointer image=alpha slot=0 attempts=3');
});

test.each([
  [1, 3, 2, 2],
  [9, 10, 10, 9],
  [1999, 100, 2000, 99],
  [999_999_999, 200, 1_000_000_000, 199],
  [4_294_967_294, 1, 4_294_967_295, 0],
])(
  'phase deploy: record %i with %i attempts is counted as record %i with %i, in the other slot',
  async (sequence, attempts, next, left) => {
    const counted = pointer({ phase: 'deploy', sequence, attempts, fallback: 'beta' });
    await store(undefined, counted);
    expect(await firmwareBoot(boot.node, IN_TIME.withinMs)).toContain('boot alpha');
    const after = ubootEnv.read(new Uint8Array(await readFile(boot.eeprom)));
    expect(after).toEqual([
      { kind: 'valid', pointer: { ...counted, sequence: next, attempts: left } },
      { kind: 'valid', pointer: counted },
    ]);
  },
);

test('an imager without the image costs no attempt', async () => {
  const before = await store(pointer({ phase: 'deploy', image: 'missing', fallback: 'beta' }), undefined);
  await boot.node.powerOn();
  const event = await boot.node.waitForStep('error', IN_TIME);
  expect(event.reason).toBe('no image missing from 10.77.0.1');
  expect(new Uint8Array(await readFile(boot.eeprom))).toEqual(before);
});

test('no attempts left: the fallback image, and nothing is written', async () => {
  const before = await store(pointer({ phase: 'deploy', attempts: 0, fallback: 'beta' }), undefined);
  expect(await firmwareBoot(boot.node, IN_TIME.withinMs)).toEqual([
    'start',
    'pointer image=alpha slot=0 attempts=0',
    'error no attempts left for alpha: fallback beta',
    `dhcp ${ADDRESS}`,
    'load beta',
    'boot beta',
  ]);
  expect(new Uint8Array(await readFile(boot.eeprom))).toEqual(before);
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
