/**
 * What a pointer store's byte layout must offer; the write procedure is the same for all (store.ts).
 * An EEPROM as it leaves the factory belongs to the firmware stub, not to the layout.
 */
import type { BootPointer } from './record.ts';

export type SlotIndex = 0 | 1;

/**
 * What one slot holds. `empty` never held a record; `torn` fails its checksum; `invalid` has a right checksum around a
 * record with faults: firmware that checks no more than that obeys its `sequence`.
 */
export type Slot =
  | { kind: 'valid'; pointer: BootPointer }
  | { kind: 'empty' }
  | { kind: 'torn'; why: string }
  | { kind: 'invalid'; faults: string[]; sequence: number };

/** One contiguous write. Writes are performed in order, each durable before the next. */
export interface Patch {
  offset: number;
  bytes: Uint8Array;
}

export interface PointerLayout {
  readonly name: 'uboot-env' | 'ipxe-script';
  /** True where the firmware counts attempts down in phase `deploy` and takes the fallback image at none. */
  readonly firmwareCounts: boolean;
  /** Bytes of EEPROM the layout covers, from offset 0. */
  readonly size: number;
  /** Both slots as found in `image` (at least `size` bytes). Never throws on any content. */
  read(image: Uint8Array): [Slot, Slot];
  /** The slot the firmware takes, by its own rule, be its record usable or not. Undefined: it takes none. */
  active(image: Uint8Array): SlotIndex | undefined;
  /** The writes that store `pointer` in `slot` and make the firmware obey it, the deciding one last. */
  patches(image: Uint8Array, slot: SlotIndex, pointer: BootPointer): Patch[];
}

/** Sequence number of a slot with a right checksum. */
export function slotSequence(slot: Slot): number | undefined {
  switch (slot.kind) {
    case 'valid':
      return slot.pointer.sequence;
    case 'invalid':
      return slot.sequence;
    case 'empty':
    case 'torn':
      return undefined;
  }
}
