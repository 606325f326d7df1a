/** Disks (Documentation/ABI/stable/sysfs-block). */
import type { Host } from '../host.ts';
import { attribute, devicePath, flagAt, numberAt, type ResourceController } from './controller.ts';
import { placeOf } from './place.ts';

const BLOCK = '/sys/block';
/** The kernel counts in these whatever a disk's own sectors are. */
const SECTOR = 512;

/** By where they sit; those of no hardware (NBD, loop, RAM, device mapper) by their names, as `virtual`. Without empty ones. */
export const disks: ResourceController = {
  kind: 'disk',
  discover(host, found, each) {
    const filled = notEmpty(host);
    each(BLOCK, (path, name) => {
      const sectors = filled?.has(name) === false ? 0 : numberAt(host, `${path}/size`);
      if (sectors === undefined || sectors === 0) return;
      const device = devicePath(host, path);
      const isVirtual = device.startsWith('virtual/');
      const place = placeOf(device);
      const model = attribute(host, `${path}/device/model`);
      const vendor = attribute(host, `${path}/device/vendor`);
      found({
        key: place ?? name,
        fields: {
          name,
          bytes: sectors * SECTOR,
          // Of a virtio disk it is a number of the bus.
          model:
            [vendor?.startsWith('0x') ? undefined : vendor, model].filter(Boolean).join(' ') || undefined,
          serial: attribute(host, `${path}/serial`) ?? attribute(host, `${path}/device/serial`),
          rotational: isVirtual ? undefined : flagAt(host, `${path}/queue/rotational`),
          removable: flagAt(host, `${path}/removable`) || undefined,
          readOnly: flagAt(host, `${path}/ro`) || undefined,
          virtual: isVirtual || undefined,
        },
      });
    });
  },
};

/** Names of those that are not empty, partitions included, in one read: a kernel has many devices that could be attached. */
function notEmpty(host: Host): Set<string> | undefined {
  const lines = attribute(host, '/proc/partitions', Infinity)?.split('\n');
  // The folder of `cciss/c0d0` is called cciss!c0d0.
  return lines && new Set(lines.map((line) => line.slice(line.lastIndexOf(' ') + 1).replaceAll('/', '!')));
}
