/** Where boot pointers are, or could be kept: what `--store` takes, with what is there now. */
import type { LayoutName } from '../../protocol/pointer/layout.ts';
import { openPointerStore } from '../eeprom.ts';
import type { Host } from '../host.ts';
import { attribute, numberAt, type ResourceController } from './controller.ts';

const BLOCK = '/sys/block';
const I2C = '/sys/bus/i2c/devices';
const EFI_VARIABLES = '/sys/firmware/efi/efivars';
const FW_ENV = '/etc/fw_env.config';
/** Sectors of the EEPROMs of the project's own scripts: 8 KiB. */
const EEPROM_SECTORS = 16;
const IN_PLACE: readonly LayoutName[] = ['uboot-env', 'ipxe-script'];

export const pointerStores: ResourceController = {
  kind: 'pointer-store',
  discover(host, found, each) {
    const booted = /(?:^|\s)bootwright\.pointer=(\S+)/.exec(attribute(host, '/proc/cmdline') ?? '')?.[1];
    const store = (kind: LayoutName, path: string) => {
      const key = `${kind}:${path}`;
      found({ key, fields: { state: stateOf(host, kind, path), booted: key === booted || undefined } });
    };
    each(BLOCK, (path, name) => {
      if (numberAt(host, `${path}/size`) !== EEPROM_SECTORS) return;
      const device = `/dev/${name}`;
      // A blank one is good for any layout.
      const kind = IN_PLACE.find((layout) => stateOf(host, layout, device) === 'pointer');
      if (kind !== undefined) store(kind, device);
    });
    each(I2C, (path) => {
      if (host.exists(`${path}/eeprom`)) store('eeprom', `${path}/eeprom`);
    });
    if (host.exists(EFI_VARIABLES) && host.list(EFI_VARIABLES).length > 0) store('efivars', EFI_VARIABLES);
    if (host.exists(FW_ENV)) store('fw-env', FW_ENV);
  },
};

/** Not which pointer: that is another with each flash. */
function stateOf(host: Host, kind: LayoutName, path: string): 'pointer' | 'empty' | 'other' {
  const { pointer, slots } = openPointerStore(host, kind, path).read();
  if (pointer !== undefined) return 'pointer';
  return slots.every((slot) => slot.kind === 'empty') ? 'empty' : 'other';
}
