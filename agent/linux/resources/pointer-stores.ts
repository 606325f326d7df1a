/** Where boot pointers are, or could be kept: what `--store` takes. Which pointer is no matter here: that is another with each flash. */
import type { LayoutName } from '../../protocol/pointer/layout.ts';
import { kernelArgument } from '../cmdline.ts';
import { DEVICE_SIZE, openPointerStore } from '../eeprom.ts';
import { EFIVARS } from '../efivars.ts';
import type { Host } from '../host.ts';
import { attribute, numberAt, type ResourceController } from './controller.ts';

const BLOCK = '/sys/block';
const I2C = '/sys/bus/i2c/devices';
const FW_ENV = '/etc/fw_env.config';
/** Sectors of the EEPROMs of the project's own scripts: today's, and 8 KiB of older ones. */
const EEPROM_SECTORS: readonly (number | undefined)[] = [DEVICE_SIZE / 512, 16];
const IN_PLACE: readonly LayoutName[] = ['uboot-env', 'ipxe-script'];

/** The one the node booted by is marked; a block device as large as an EEPROM counts where it holds a pointer. */
export const pointerStores: ResourceController = {
  kind: 'pointer-store',
  discover(host, found, each) {
    const booted = kernelArgument(attribute(host, '/proc/cmdline') ?? '', 'bootwright.pointer');
    if (booted !== undefined) found({ key: booted, fields: { booted: true } });
    const store = (key: string) => {
      if (key !== booted) found({ key, fields: {} });
    };
    each(BLOCK, (path, name) => {
      if (/^(nbd|loop|ram)\d+$/.test(name) || booted?.endsWith(`:/dev/${name}`)) return;
      if (!EEPROM_SECTORS.includes(numberAt(host, `${path}/size`))) return;
      const kind = IN_PLACE.find((layout) => holdsPointer(host, layout, `/dev/${name}`));
      if (kind !== undefined) store(`${kind}:/dev/${name}`);
    });
    each(I2C, (path) => {
      if (host.exists(`${path}/eeprom`)) store(`eeprom:${path}/eeprom`);
    });
    if (host.exists(EFIVARS) && host.list(EFIVARS).length > 0) store(`efivars:${EFIVARS}`);
    if (host.exists(FW_ENV)) store(`fw-env:${FW_ENV}`);
  },
};

function holdsPointer(host: Host, kind: LayoutName, path: string): boolean {
  return openPointerStore(host, kind, path).read().pointer !== undefined;
}
