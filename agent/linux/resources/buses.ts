/** Devices on PCI and USB, by their addresses (Documentation/ABI/testing/sysfs-bus-pci, sysfs-bus-usb). */
import type { Host } from '../host.ts';
import { attribute, type ResourceController, ueventOf } from './controller.ts';

const PCI = '/sys/bus/pci/devices';
const USB = '/sys/bus/usb/devices';

export const pciDevices: ResourceController = {
  kind: 'pci',
  discover(host, found, each) {
    each(PCI, (path, name) => {
      const { PCI_ID, PCI_SUBSYS_ID, PCI_CLASS, DRIVER } = ueventOf(host, path);
      if (PCI_ID === undefined) throw new Error('it says no PCI_ID');
      found({
        key: name,
        fields: {
          id: PCI_ID.toLowerCase(),
          subsystem: PCI_SUBSYS_ID?.toLowerCase(),
          // Class, subclass, programming interface; the kernel leaves zeroes in front out.
          class: PCI_CLASS?.toLowerCase().padStart(6, '0'),
          driver: DRIVER,
        },
      });
    });
  },
};

/** Hubs of the machine's own (root hubs) included. */
export const usbDevices: ResourceController = {
  kind: 'usb',
  discover(host, found, each) {
    each(USB, (path, name) => {
      // BUS-PORT:CONFIGURATION.INTERFACE: part of a device.
      if (name.includes(':')) return;
      const { PRODUCT, TYPE } = ueventOf(host, path);
      if (PRODUCT === undefined) throw new Error('it says no PRODUCT');
      const [vendor = '', product = ''] = PRODUCT.split('/');
      found({
        key: name,
        fields: {
          id: `${vendor.padStart(4, '0')}:${product.padStart(4, '0')}`,
          class: TYPE,
          manufacturer: attribute(host, `${path}/manufacturer`),
          product: attribute(host, `${path}/product`),
          serial: attribute(host, `${path}/serial`),
          drivers: driversOf(host, path, name),
        },
      });
    });
  },
};

/** A device's own driver is always `usb`: its interfaces have the others. */
function driversOf(host: Host, path: string, name: string): string | undefined {
  const interfaces = host.list(path).filter((each) => each.startsWith(`${name}:`));
  const root = name.startsWith('usb') ? host.list(path).filter((each) => /^\d+-0:/.test(each)) : [];
  const drivers = [...interfaces, ...root].flatMap((each) => ueventOf(host, `${path}/${each}`).DRIVER ?? []);
  return [...new Set(drivers)].sort().join(',') || undefined;
}
