/** Pointer stores by kind, as `--store KIND:PATH` and the kernel's bootwright.pointer=KIND:PATH name them. */

import type { Pointers } from '../ports.ts';
import { ipxeScript } from '../protocol/pointer/ipxe-script.ts';
import type { LayoutName, PointerLayout } from '../protocol/pointer/layout.ts';
import type { BootPointer } from '../protocol/pointer/record.ts';
import { type Eeprom, PointerStore } from '../protocol/pointer/store.ts';
import { ubootEnv } from '../protocol/pointer/uboot-env.ts';
import { openAt24 } from './at24.ts';
import { openEfiPointers } from './efivars.ts';
import { openFwEnv } from './fw-env.ts';
import type { Host } from './host.ts';
import { openRpiEeprom } from './rpi-eeprom.ts';

interface StoreKind {
  /** What PATH is, in a few words. */
  path: string;
  open(host: Host, path: string): PointerStore;
  /** Why what is there does not look like such a store; undefined where it does. */
  fault(host: Host, store: PointerStore, path: string): string | undefined;
}

const none = () => undefined;

/** Bytes of a device with the slots of a boot pointer and, behind them, a local store; older ones have the first 8 KiB alone. */
export const DEVICE_SIZE = 16_384;

export const STORE_KINDS: Record<LayoutName, StoreKind> = {
  'uboot-env': {
    path: "block device or file of 16 KiB (older ones 8), for the project's own U-Boot script",
    open: (host, path) => new PointerStore(ubootEnv, inPlace(host, path)),
    fault: deviceFault,
  },
  'ipxe-script': {
    path: "block device or file of 16 KiB (older ones 8), for the project's own iPXE script",
    open: (host, path) => new PointerStore(ipxeScript, inPlace(host, path)),
    fault: deviceFault,
  },
  eeprom: {
    path: 'a 24Cxx chip: /sys/bus/i2c/devices/BUS-ADDRESS/eeprom, or a file of 256 to 65536 bytes',
    open: openAt24,
    fault: (_host, store) => contentFault(store),
  },
  'fw-env': {
    path: "U-Boot's environment, where a file like /etc/fw_env.config says it is",
    open: openFwEnv,
    fault: none,
  },
  efivars: {
    path: 'UEFI variables: /sys/firmware/efi/efivars',
    open: openEfiPointers,
    fault: none,
  },
  'rpi-eeprom': {
    path: 'an image of the Raspberry Pi bootloader (pieeprom.bin)',
    open: openRpiEeprom,
    fault: none,
  },
};

/** The store of kind `kind` at `path`. Throws where the kind is unknown, naming those that exist, and where there is none. */
export function openPointerStore(host: Host, kind: string, path: string): PointerStore {
  if (!Object.hasOwn(STORE_KINDS, kind))
    throw new Error(`pointer store "${kind}" is unknown; there are ${Object.keys(STORE_KINDS).join(', ')}`);
  return STORE_KINDS[kind as LayoutName].open(host, path);
}

/** Why what is at `path` does not look like a store of this kind; undefined where it does. */
export function storeFault(host: Host, store: PointerStore, path: string): string | undefined {
  return STORE_KINDS[store.layout.name].fault(host, store, path);
}

/** A pointer store and where it is. */
export interface PlacedStore {
  store: PointerStore;
  path: string;
}

/**
 * Why no flash may write a store that holds no pointer in force, and what writes it all the same; undefined where one may. One that
 * holds one may be written: the firmware obeys it, or somebody at the node has forced it.
 */
export function flashFault(host: Host, { store, path }: PlacedStore): string | undefined {
  const fault = storeFault(host, store, path);
  return fault && `${fault}. Is it the EEPROM? \`agent pointer set --force\` at the node writes all the same`;
}

/** The bytes of a device or a file, as they come. */
export function inPlace(host: Host, path: string): Eeprom {
  return {
    read: (offset, length) => host.readStored(path, offset, length),
    write: (offset, bytes) => host.writeStored(path, offset, bytes),
  };
}

/** A device has DEVICE_SIZE, an older one the layout's size, and holds a boot pointer or is as the firmware stub came on it. */
function deviceFault(host: Host, store: PointerStore, device: string): string | undefined {
  const { size }: PointerLayout = store.layout;
  const { length } = host.readStored(device, 0, DEVICE_SIZE + 1);
  if (length > DEVICE_SIZE) return `it is larger than an EEPROM of ${DEVICE_SIZE} bytes`;
  if (length !== DEVICE_SIZE && length !== size)
    return `it has ${length} bytes, an EEPROM ${DEVICE_SIZE} (an older one ${size})`;
  return contentFault(store);
}

function contentFault(store: PointerStore): string | undefined {
  const { slots } = store.read();
  const kinds = slots.map(({ kind }) => kind);
  if (kinds.includes('valid')) return undefined;
  // Those of an erased chip are empty, too, and nothing there would obey a pointer.
  if (kinds.every((kind) => kind === 'empty')) return store.stubFault();
  const { name } = store.layout;
  return slots.some((slot) => slot.kind === 'invalid' || (slot.kind === 'torn' && slot.ours === true))
    ? `it holds damaged boot pointers of layout ${name}, and no sound one`
    : `it holds something else than boot pointers of layout ${name}`;
}

/** The store as the boot sequence writes it; `written` is told what is in force afterwards. */
export function pointersOf(store: PointerStore, written: (pointer: BootPointer) => void): Pointers {
  return {
    update(pointer) {
      if (store.read().pointer?.deployment === pointer.deployment) written(store.write(pointer));
    },
  };
}
