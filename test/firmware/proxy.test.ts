/** Beside a dnsmasq that gives the addresses and knows nothing of booting: nodes boot from the imager all the same. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import type { NetworkFirmware } from '../../firmware-stubs/rig/qemu.ts';
import { NetworkLab, type NodeName } from './network-lab.ts';

// Generous: the machine may be busy with other tests.
const IN_TIME = { withinMs: 120_000 };
vi.setConfig({ testTimeout: 150_000 });

let lab: NetworkLab;
let node: RigNode | undefined;
beforeAll(async () => {
  lab = await NetworkLab.open('proxy');
});
afterEach(() => node?.cutPower());
afterAll(() => lab?.close());

const SCRIPT = 'http://10.77.0.1/boot.ipxe';
const LOADED = ['boot.ipxe', 'images/alpha/boot.ipxe', 'images/alpha/kernel', 'images/alpha/initrd'].map(
  (file) => `http transfer-end ${file}`,
);

/** Boots until the script starts the kernel. */
async function bootOf(firmware: NetworkFirmware): Promise<string[]> {
  node = await lab.boot(firmware);
  await node.waitForLine(/bootwright: firmware boot alpha/, IN_TIME);
  await compare(firmware);
  return [...new Set(await lab.story(firmware))];
}

/** Holds what both servers say of a boot against each other; gives the node's address. */
async function compare(firmware: NodeName): Promise<string | undefined> {
  const { address, log } = lab.otherServer(firmware);
  expect(address).toMatch(/^10\.77\.0\.[5-8]\d$/);
  expect(log).toContain(`DHCPACK ${address}`);
  const events = await lab.events(firmware);
  // The imager gave no address and refused none; whoever loaded had the one that dnsmasq gave.
  expect(events.filter(({ step }) => step === 'offer').every((offer) => offer.address === undefined)).toBe(
    true,
  );
  expect(events.filter(({ step }) => step === 'nak')).toEqual([]);
  const loads = events.filter(({ step }) => step === 'transfer-end');
  expect(new Set(loads.map((load) => load.address))).toEqual(new Set([address]));
  expect(events.find(({ step, reason }) => step === 'request' && reason === 'other-server')).toMatchObject({
    address,
    detail: { server: '10.77.0.2' },
  });
  // What agents, disks and menus ask for the address of a node knows it too.
  const leases = JSON.parse(await lab.get('/api/leases')) as { node?: string; address: string }[];
  expect(leases.filter((lease) => lease.node === firmware)).toMatchObject([{ address, active: true }]);
  return address;
}

test('an iPXE node', async () => {
  expect(await bootOf('ipxe-bios')).toEqual([`dhcp offer ${SCRIPT}`, ...LOADED]);
});

test('an OVMF node by PXE: asks port 4011 for its loader', async () => {
  const loader = 'ipxe/snponly.efi';
  expect(await bootOf('uefi-pxe')).toEqual([
    `dhcp offer ${loader}`,
    `dhcp ack ${loader}`,
    `tftp transfer-end ${loader}`,
    `dhcp offer ${SCRIPT}`,
    ...LOADED,
  ]);
});

test('an OVMF node by HTTP boot', async () => {
  const loader = 'http://10.77.0.1/ipxe/snponly.efi';
  expect(await bootOf('uefi-http')).toEqual([
    `dhcp offer ${loader}`,
    'http transfer-end ipxe/snponly.efi',
    `dhcp offer ${SCRIPT}`,
    ...LOADED,
  ]);
});

test('a node with a boot pointer: its disk opens for the address that the other server gave it', async () => {
  node = await lab.bootPointer();
  await node.waitForStep('mounted', IN_TIME);
  // It has been welcomed by then, which the disk does not wait for.
  await node.waitForStep('plan', IN_TIME);
  const address = await compare('pointer');
  const events = await lab.events('pointer');
  // Its agent is welcome from no other address, since the configuration names none.
  const hello = events.find(({ step }) => step === 'hello');
  expect(hello).toMatchObject({ component: 'agent', address });
  expect(hello).not.toHaveProperty('reason');
  expect(events.find(({ step }) => step === 'attach')).toMatchObject({ component: 'nbd', address });
});

test('an iPXE node is shown a menu, and its second item boots', async () => {
  node = await lab.boot('ipxe-bios', 'menu-ipxe');
  await node.waitForLine(/Boot menu/, IN_TIME);
  node.type('b');
  await node.waitForLine(/bootwright: firmware boot alpha/, IN_TIME);
  await compare('menu-ipxe');
  const told = (await lab.events('menu-ipxe')).filter(({ step }) => step === 'offer' || step === 'ack');
  expect(told).toMatchObject([{ detail: { menu: 3 } }, { detail: { item: 'As always', file: SCRIPT } }]);
});

test('an OVMF node is shown the menu that it asks port 4011 for, and its second item is loaded', async () => {
  const loader = 'ipxe/snponly.efi';
  node = await lab.boot('uefi-pxe', 'menu-uefi');
  await node.waitForLine(/^Disk/, IN_TIME);
  node.type('d\r');
  await node.waitForLine(/NBP file downloaded successfully/, IN_TIME);
  await compare('menu-uefi');
  const acks = (await lab.events('menu-uefi')).filter(({ step }) => step === 'ack');
  expect(acks).toMatchObject([{ detail: { menu: 3 } }, { detail: { item: 'As always', file: loader } }]);
});
