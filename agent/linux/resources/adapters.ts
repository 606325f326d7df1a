/** Network adapters (Documentation/ABI/testing/sysfs-class-net). */
import { attribute, devicePath, flagAt, numberAt, type ResourceController, ueventOf } from './controller.ts';
import { placeOf } from './place.ts';

const ADAPTERS = '/sys/class/net';
/** The address an adapter had before it was put into a bond. */
const BONDED = 'bonding_slave/perm_hwaddr';
/** The kernel's own, and it cannot be named otherwise. */
const LOOPBACK = 'lo';

/** Physical ones by their MAC address; bridges, bonds and the like by their names. Without the loopback. */
export const adapters: ResourceController = {
  kind: 'adapter',
  discover(host, found, each) {
    each(ADAPTERS, (path, name) => {
      // Also a file of the bonding driver: the names of its bonds.
      if (name === LOOPBACK || !host.exists(`${path}/address`)) return;
      const isPhysical = host.exists(`${path}/device`);
      const mac = attribute(host, `${path}/${host.exists(`${path}/bonding_slave`) ? BONDED : 'address'}`);
      const carrier = flagAt(host, `${path}/carrier`);
      found({
        key: isPhysical && mac !== undefined ? mac : name,
        fields: {
          name,
          mac,
          place: isPhysical ? placeOf(devicePath(host, path)) : undefined,
          driver: isPhysical ? ueventOf(host, `${path}/device`).DRIVER : undefined,
          carrier,
          megabits: carrier ? numberAt(host, `${path}/speed`) : undefined,
          mtu: numberAt(host, `${path}/mtu`),
          virtual: isPhysical ? undefined : true,
        },
      });
    });
  },
};
