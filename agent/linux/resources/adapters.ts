/** Network adapters (Documentation/ABI/testing/sysfs-class-net). */
import { attribute, devicePath, flagAt, numberAt, type ResourceController, ueventOf } from './controller.ts';
import { placeOf } from './place.ts';

const ADAPTERS = '/sys/class/net';
/** ARPHRD_LOOPBACK (include/uapi/linux/if_arp.h). */
const LOOPBACK = 772;

/** Physical ones by their MAC address; bridges, bonds and the like by their names. Without the loopback. */
export const adapters: ResourceController = {
  kind: 'adapter',
  discover(host, found, each) {
    each(ADAPTERS, (path, name) => {
      if (numberAt(host, `${path}/type`) === LOOPBACK) return;
      const isPhysical = host.exists(`${path}/device`);
      const mac = attribute(host, `${path}/bonding_slave/perm_hwaddr`) ?? attribute(host, `${path}/address`);
      found({
        key: isPhysical && mac !== undefined ? mac : name,
        fields: {
          name,
          mac,
          place: isPhysical ? placeOf(devicePath(host, path)) : undefined,
          driver: isPhysical ? ueventOf(host, `${path}/device`).DRIVER : undefined,
          carrier: flagAt(host, `${path}/carrier`),
          megabits: numberAt(host, `${path}/speed`),
          mtu: numberAt(host, `${path}/mtu`),
          virtual: isPhysical ? undefined : true,
        },
      });
    });
  },
};
