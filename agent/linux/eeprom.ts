/** Pointer stores on block devices and files. */

import type { Pointers } from '../ports.ts';
import { ipxeScript } from '../protocol/pointer/ipxe-script.ts';
import type { PointerLayout } from '../protocol/pointer/layout.ts';
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

/** The store as the boot sequence writes it. */
export function pointersOf(store: PointerStore): Pointers {
  return {
    update(pointer) {
      if (store.read().pointer?.deployment === pointer.deployment) store.write(pointer);
    },
  };
}
