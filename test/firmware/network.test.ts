/** Firmware without a boot pointer boots what the imager's DHCP server tells it: until its kernel has started the agent. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { NetworkLab } from './network-lab.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 120_000 };
vi.setConfig({ testTimeout: 150_000 });

let lab: NetworkLab;
let node: RigNode | undefined;
beforeAll(async () => {
  lab = await NetworkLab.open('server');
});
afterEach(() => node?.cutPower());
afterAll(() => lab?.close());

const SCRIPT = 'http://10.77.0.1/boot.ipxe';
/** What iPXE does from its first DISCOVER to the kernel's start. */
const IPXE = [
  `dhcp offer ${SCRIPT}`,
  `dhcp ack ${SCRIPT}`,
  ...['boot.ipxe', 'images/alpha/boot.ipxe', 'images/alpha/kernel', 'images/alpha/initrd'].map(
    (file) => `http transfer-end ${file}`,
  ),
];

/** Boots until the script starts the kernel; the story has each step once, since loaders repeat lost requests. */
async function bootOf(firmware: Parameters<NetworkLab['boot']>[0]): Promise<string[]> {
  node = await lab.boot(firmware);
  await node.waitForLine(/bootwright: firmware boot alpha/, IN_TIME);
  return [...new Set(await lab.story(firmware))];
}

test('the iPXE ROM under SeaBIOS, to the first word of the agent', async () => {
  expect(await bootOf('ipxe-bios')).toEqual(IPXE);
  await node!.waitForStep('agent', IN_TIME);
});

test('the iPXE ROM under UEFI', async () => {
  expect(await bootOf('ipxe-uefi')).toEqual(IPXE);
});

test("UEFI's own PXE loads iPXE by TFTP", async () => {
  const loader = 'ipxe/snponly.efi';
  expect(await bootOf('uefi-pxe')).toEqual([
    `dhcp offer ${loader}`,
    `dhcp ack ${loader}`,
    `tftp transfer-end ${loader}`,
    ...IPXE,
  ]);
});

test("UEFI's HTTP boot loads iPXE by its URL, and TFTP is never asked", async () => {
  const loader = 'http://10.77.0.1/ipxe/snponly.efi';
  expect(await bootOf('uefi-http')).toEqual([
    `dhcp offer ${loader}`,
    `dhcp ack ${loader}`,
    'http transfer-end ipxe/snponly.efi',
    ...IPXE,
  ]);
  expect((await lab.events('uefi-http')).filter(({ component }) => component === 'tftp')).toEqual([]);
});

test('U-Boot on x86 loads its script and what that names by TFTP, to the first word of the agent', async () => {
  node = await lab.boot('uboot-x86');
  await node.waitForStep('agent', IN_TIME);
  expect([...new Set(await lab.story('uboot-x86'))]).toEqual([
    'dhcp offer',
    'dhcp ack',
    ...['boot.scr.uimg', 'images/alpha/kernel', 'images/alpha/initrd'].map(
      (file) => `tftp transfer-end ${file}`,
    ),
  ]);
});

test('the iPXE ROM shows a menu and boots its second item', async () => {
  node = await lab.boot('ipxe-bios', 'menu-ipxe');
  await node.waitForLine(/Boot menu/, IN_TIME);
  node.type('b');
  await node.waitForLine(/bootwright: firmware boot alpha/, IN_TIME);
  expect([...new Set(await lab.story('menu-ipxe'))]).toEqual(IPXE);
  const acks = (await lab.events('menu-ipxe')).filter(({ step }) => step === 'ack');
  expect(acks).toMatchObject([{ detail: { menu: 3 } }, { detail: { item: 'As always', file: SCRIPT } }]);
});

test("UEFI's own PXE shows a menu and loads its second item", async () => {
  const loader = 'ipxe/snponly.efi';
  node = await lab.boot('uefi-pxe', 'menu-uefi');
  await node.waitForLine(/^Disk/, IN_TIME);
  node.type('d\r');
  await node.waitForLine(/NBP file downloaded successfully/, IN_TIME);
  const acks = (await lab.events('menu-uefi')).filter(({ step }) => step === 'ack');
  expect(acks).toMatchObject([{ detail: { menu: 3 } }, { detail: { item: 'As always', file: loader } }]);
  expect(await lab.story('menu-uefi')).toContain(`tftp transfer-end ${loader}`);
});
