/** Pointer stores on block devices and files. */

import type { Pointers } from '../ports.ts';
import { ipxeScript } from '../protocol/pointer/ipxe-script.ts';
import type { PointerLayout } from '../protocol/pointer/layout.ts';
import type { BootPointer } from '../protocol/pointer/record.ts';
import { PointerStore } from '../protocol/pointer/store.ts';
import { ubootEnv } from '../protocol/pointer/uboot-env.ts';
import type { Host } from './host.ts';

export const LAYOUTS: readonly PointerLayout[] = [ubootEnv, ipxeScript];

/** The store of layout `layout` on `device`. Throws where the layout is unknown, naming those that exist. */
export function openPointerStore(host: Host, layout: string, device: string): PointerStore {
  const found = LAYOUTS.find(({ name }) => name === layout);
  if (found === undefined)
    throw new Error(
      `pointer layout "${layout}" is unknown; there are ${LAYOUTS.map(({ name }) => name).join(', ')}`,
    );
  return new PointerStore(found, {
    read: (offset, length) => host.readStored(device, offset, length),
    write: (offset, bytes) => host.writeStored(device, offset, bytes),
  });
}

/**
 * Why `device` does not look like an EEPROM for pointers of this layout; undefined where it does: it has just the
 * layout's size, and holds a boot pointer or is as it left the factory.
 */
export function eepromFault(host: Host, store: PointerStore, device: string): string | undefined {
  const { size, name } = store.layout;
  const length = host.readStored(device, 0, size).length;
  if (length < size) return `it has ${length} bytes, an EEPROM ${size}`;
  if (host.readStored(device, size, 1).length > 0) return `it is larger than an EEPROM of ${size} bytes`;
  const kinds = store.read().slots.map(({ kind }) => kind);
  const known = kinds.includes('valid') || kinds.every((kind) => kind === 'empty');
  return known ? undefined : `it holds something else than boot pointers of layout ${name}`;
}

/** The store as the boot sequence writes it; `written` is told what is in force afterwards. */
export function pointersOf(store: PointerStore, written: (pointer: BootPointer) => void): Pointers {
  return {
    update(pointer) {
      if (store.read().pointer?.deployment === pointer.deployment) written(store.write(pointer));
    },
  };
}
