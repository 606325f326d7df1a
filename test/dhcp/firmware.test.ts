/** Real boot firmware in QEMU on the wire: takes the offer at once, without waiting for a proxy. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, type RunningServer } from './lab.ts';

const UID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';

let lab: Lab;
let server: RunningServer;

beforeAll(async () => {
  lab = await Lab.open();
  server = await lab.serve({
    pool: { from: '10.77.0.100', to: '10.77.0.199' },
    reservations: [{ node: 'n1', address: '10.77.0.11', uid: UID }],
  });
});
afterAll(() => lab?.close());

/** Starts a machine on the bridge; it ends with the lab. */
async function boot(tap: string, argv: string[], mac: string): Promise<void> {
  await lab.space.check(['sh', '-ec', `ip tuntap add ${tap} mode tap; ip link set ${tap} master br0 up`]);
  const machine = [...argv, '-m', '256', '-display', 'none', '-monitor', 'none', '-serial', 'null'];
  const net = ['-netdev', `tap,id=n0,ifname=${tap},script=no,downscript=no`];
  // U-Boot 2023.01 reads the address of a legacy virtio adapter as its first byte six times.
  const nic = ['-device', `virtio-net-pci,disable-legacy=on,netdev=n0,mac=${mac}`];
  lab.space.spawn(['timeout', '60', ...machine, ...net, ...nic], { stdio: 'ignore' });
}

test('the iPXE ROM is bound as its node after one DISCOVER and one REQUEST', async () => {
  const mac = '52:54:00:77:00:71';
  await boot(
    'tap0',
    ['qemu-system-x86_64', '-accel', 'tcg', '-smbios', `type=1,uuid=${UID}`, '-boot', 'n'],
    mac,
  );
  const ack = await server.event((event) => event.step === 'ack' && event.mac === mac);
  expect(ack).toMatchObject({
    node: 'n1',
    address: '10.77.0.11',
    detail: { file: 'http://10.77.0.1/boot.ipxe' },
  });
  const own = server.events().filter((event) => event.mac === mac);
  expect(own.map(({ step }) => step)).toEqual(['discover', 'offer', 'request', 'ack']);
});

test('U-Boot is bound after one DISCOVER and one REQUEST', async () => {
  const mac = '52:54:00:77:00:72';
  const firmware = '/usr/lib/u-boot/qemu_arm64/u-boot.bin';
  await boot(
    'tap1',
    ['qemu-system-aarch64', '-accel', 'tcg', '-M', 'virt', '-cpu', 'cortex-a57', '-bios', firmware],
    mac,
  );
  const ack = await server.event((event) => event.step === 'ack' && event.mac === mac);
  expect(ack.detail).toMatchObject({ file: 'boot-22.img' });
  const own = server.events().filter((event) => event.mac === mac);
  expect(own.slice(0, 4).map(({ step }) => step)).toEqual(['discover', 'offer', 'request', 'ack']);
});
