/** UIDs that are there as a text: a file, SMBIOS as the kernel shows it, the device tree. */
import { parseUid } from '../../protocol/uid.ts';
import { firmwareText, judged, type UidSource } from './source.ts';

export const UID_FILE = '/etc/bootwright/uid';
const DMI = '/sys/class/dmi/id';
const DEVICE_TREE_SERIAL = '/sys/firmware/devicetree/base/serial-number';

/** Settles the UID where a board ships none, or one that others have too. */
export const uidFile: UidSource = {
  name: 'file',
  about: `a UID in ${UID_FILE}`,
  read(host) {
    const text = firmwareText(host, UID_FILE);
    return judged(text, text ?? '', UID_FILE);
  },
};

/** SMBIOS type 1 (DSP0134, 7.2), "UUID", in the kernel's text: the form DHCP option 97 comes to as well. */
export const smbiosUuid: UidSource = {
  name: 'smbios-uuid',
  about: 'SMBIOS, system UUID',
  read(host) {
    const text = firmwareText(host, `${DMI}/product_uuid`);
    return judged(text, text ?? '', 'SMBIOS system UUID');
  },
};

/** "Serial Number" of SMBIOS type 1 (system), 2 (baseboard) and 3 (chassis). */
export const smbiosProductSerial = smbiosSerial('smbios-product', 'system', 'product_serial');
export const smbiosBoardSerial = smbiosSerial('smbios-board', 'baseboard', 'board_serial');
export const smbiosChassisSerial = smbiosSerial('smbios-chassis', 'chassis', 'chassis_serial');

function smbiosSerial(name: string, part: string, file: string): UidSource {
  const about = `SMBIOS, serial number of the ${part}`;
  return {
    name,
    about,
    read(host) {
      const text = firmwareText(host, `${DMI}/${file}`);
      return judged(text, `serial:${text}`, about);
    },
  };
}

/** Property "serial-number" of the root node (Devicetree Specification, 3.2): U-Boot's `serial#`, a board's number or a UUID. */
export const deviceTreeSerial: UidSource = {
  name: 'devicetree',
  about: 'serial number in the device tree',
  read(host) {
    const text = firmwareText(host, DEVICE_TREE_SERIAL);
    return judged(text, parseUid(text ?? '') ?? `serial:${text}`, 'serial number in the device tree');
  },
};
