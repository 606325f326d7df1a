/**
 * Local stores of nodes without a disk of their own: behind the boot pointer's slots in the same EEPROM, or in two UEFI variables
 * beside the boot pointer's, `BootLocal0` and `BootLocal1`.
 */
import { LARGEST_LOCAL_SLOT, LocalSlots, localSlotSize } from '../protocol/local-slots.ts';
import { eepromLayout } from '../protocol/pointer/at24.ts';
import { ipxeScript } from '../protocol/pointer/ipxe-script.ts';
import type { LayoutName } from '../protocol/pointer/layout.ts';
import type { Eeprom } from '../protocol/pointer/store.ts';
import { ubootEnv } from '../protocol/pointer/uboot-env.ts';
import { openChip } from './at24.ts';
import { DEVICE_SIZE, inPlace } from './eeprom.ts';
import { variablePair } from './efivars.ts';
import type { Host } from './host.ts';

/** The store beside the boot pointer of kind `kind` at `path`, or why there is none. Throws where the device cannot be read. */
export function localEeprom(host: Host, kind: LayoutName, path: string): LocalSlots | { none: string } {
  switch (kind) {
    case 'uboot-env':
      return onDevice(host, path, ubootEnv.size);
    case 'ipxe-script':
      return onDevice(host, path, ipxeScript.size);
    case 'eeprom': {
      const { size, bytes } = openChip(host, path);
      return behind(bytes, eepromLayout(size).size, size, path);
    }
    case 'efivars':
      return unoccupied(
        new LocalSlots(
          variablePair(host, path, 'BootLocal', LARGEST_LOCAL_SLOT),
          LARGEST_LOCAL_SLOT,
          nameOf(path),
        ),
        path,
      );
    case 'fw-env':
    case 'rpi-eeprom':
      return { none: `no local store is kept in ${kind}` };
  }
}

/** Not on a disk: what is behind the first bytes of one is somebody's. */
function onDevice(host: Host, path: string, pointer: number): LocalSlots | { none: string } {
  const size = host.readStored(path, 0, DEVICE_SIZE + 1).length;
  return size > DEVICE_SIZE
    ? { none: `${path} is larger than an EEPROM of ${DEVICE_SIZE} bytes: it is left alone` }
    : behind(inPlace(host, path), pointer, size, path);
}

function behind(bytes: Eeprom, pointer: number, size: number, path: string): LocalSlots | { none: string } {
  const slotSize = localSlotSize(size - pointer);
  if (slotSize === undefined)
    return {
      none: `${path} has ${size} bytes, the boot pointer takes ${pointer}: no room for a local store`,
    };
  return unoccupied(
    new LocalSlots(
      {
        read: (offset, length) => bytes.read(pointer + offset, length),
        write: (offset, content) => bytes.write(pointer + offset, content),
      },
      slotSize,
      nameOf(path),
    ),
    path,
  );
}

function nameOf(path: string): string {
  return `the local store in ${path}`;
}

/** Boards keep other things in their chips, too. */
function unoccupied(store: LocalSlots, path: string): LocalSlots | { none: string } {
  const why = store.occupied();
  return why === undefined
    ? store
    : { none: `${path} holds something else where a local store would be (${why}): it is left alone` };
}
