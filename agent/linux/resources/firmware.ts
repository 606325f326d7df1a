/** Firmware and its version, as far as it says. */
import { attribute, numberAt, type ResourceController } from './controller.ts';

/** SMBIOS type 0 (DSP0134, 7.1), as the kernel shows it. */
const DMI = '/sys/class/dmi/id';
const UEFI = '/sys/firmware/efi';
/** U-Boot tells its version in the device tree (its boot/fdt_support.c, fdt_chosen). */
const UBOOT = '/sys/firmware/devicetree/base/chosen/u-boot,version';

export const firmware: ResourceController = {
  kind: 'firmware',
  discover(host, found) {
    const vendor = attribute(host, `${DMI}/bios_vendor`);
    const version = attribute(host, `${DMI}/bios_version`);
    if (vendor !== undefined || version !== undefined)
      found({
        key: 'smbios',
        fields: { vendor, version, date: attribute(host, `${DMI}/bios_date`) },
      });
    if (host.exists(UEFI))
      found({ key: 'uefi', fields: { bits: numberAt(host, `${UEFI}/fw_platform_size`) } });
    const uboot = attribute(host, UBOOT);
    if (uboot !== undefined) found({ key: 'u-boot', fields: { version: uboot } });
    const board = attribute(host, '/sys/firmware/devicetree/base/model');
    const product = attribute(host, `${DMI}/product_name`);
    if (board !== undefined || product !== undefined)
      found({
        key: 'board',
        fields: { maker: attribute(host, `${DMI}/sys_vendor`), model: board ?? product },
      });
  },
};
