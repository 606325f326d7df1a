/**
 * Process 1 of a machine with 24Cxx chips of the kernel's own make (i2c-stub) behind its at24 driver: writes boot pointers
 * to them. Each step is a line `STEP NAME TEXT` on the console; test/firmware/at24.test.ts has what must come.
 */
import { openPointerStore } from '../../../agent/linux/eeprom.ts';
import type { Host } from '../../../agent/linux/host.ts';
import { start } from '../../../agent/quickjs/start.ts';
import { FIELDS, modulesOf, mountSystem, say } from './guest.ts';

const BUS = '/sys/bus/i2c/devices/i2c-0';
start(async (host) => {
  mountSystem(host);
  try {
    // A 24C16 answers at eight addresses, 256 bytes each.
    const addresses = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => `0x5${i}`).join(',');
    for (const path of modulesOf(host)) {
      const parameters = path.endsWith('/i2c_stub.ko') ? [`chip_addr=${addresses}`] : [];
      const { code, output } = await host.run(['/bin/busybox', 'insmod', path, ...parameters], {
        timeoutMs: 10_000,
      });
      if (code !== 0) throw new Error(`${path}: ${output}`);
    }
    for (const chip of ['24c02', '24c16']) tryChip(host, chip);
  } catch (error) {
    say(host, 'failed', String(error));
  }
  host.reboot('poweroff');
});

function tryChip(host: Host, chip: string): void {
  const write = (name: string, text: string) =>
    host.writeStored(`${BUS}/${name}`, 0, new TextEncoder().encode(text));
  write('new_device', `${chip} 0x50`);
  const path = '/sys/bus/i2c/devices/0-0050/eeprom';
  for (const image of ['alpha', 'beta', 'gamma']) {
    const store = openPointerStore(host, 'eeprom', path);
    const before = store.read().pointer?.image ?? '-';
    const { sequence } = store.write({ ...FIELDS, image });
    say(host, chip, `${before} ${image} ${sequence} ${store.layout.size}`);
  }
  // The next chip finds nothing of this one.
  host.writeStored(path, 0, new Uint8Array(256).fill(0xff));
  write('delete_device', '0x50');
}
