/**
 * Where a device sits, as udev's path_id names it where it does: `pci-0000:00:03.0`, `pci-0000:00:1f.2-ata-1`,
 * `pci-0000:00:14.0-usb-0:2:1.0`, `platform-a003e00.virtio_mmio`. Numbers that depend on the order drivers are loaded in
 * (virtio1, host2) are no part of it. Pure.
 */

const PCI = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;
const USB_INTERFACE = /^\d+-([\d.]+:[\d.]+)$/;
const SCSI = /^\d+:(\d+:\d+:\d+)$/;

/** Undefined where nothing in a path of sysfs (from `devices` on) says so: virtual devices. */
export function placeOf(path: string): string | undefined {
  const parts = path.split('/');
  if (parts[0] === 'virtual') return undefined;
  const address = parts.filter((part) => PCI.test(part)).at(-1);
  const platform = parts[0] === 'platform' ? parts[1] : undefined;
  const bus = address !== undefined ? `pci-${address}` : platform && `platform-${platform}`;
  if (bus === undefined) return undefined;
  return [bus, ...parts.flatMap(below)].join('-');
}

function below(part: string): string[] {
  const ata = /^ata(\d+)$/.exec(part)?.[1];
  if (ata !== undefined) return ['ata', ata];
  const usb = USB_INTERFACE.exec(part)?.[1];
  if (usb !== undefined) return ['usb', `0:${usb}`];
  const scsi = SCSI.exec(part)?.[1];
  if (scsi !== undefined) return ['scsi', `0:${scsi}`];
  const space = /^nvme\d+n(\d+)$/.exec(part)?.[1];
  return space === undefined ? [] : ['nvme', space];
}
