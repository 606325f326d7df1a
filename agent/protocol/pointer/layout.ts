/**
 * What a pointer store's byte layout must offer; the write procedure is the same for all (store.ts).
 * An EEPROM as it leaves the factory belongs to the firmware stub, not to the layout.
 */
import type { BootPointer } from './record.ts';

export type SlotIndex = 0 | 1;

/**
 * What one slot holds. `empty` never held a record; `torn` fails its checksum; `invalid` has a right checksum around a
 * record with faults: firmware that checks no more than that obeys its `sequence`. `ours`: it has a boot pointer's form all the
 * same, so that it is one that was damaged.
 */
export type Slot =
  | { kind: 'valid'; pointer: BootPointer }
  | { kind: 'empty' }
  | { kind: 'torn'; why: string; ours?: boolean }
  | { kind: 'invalid'; faults: string[]; sequence: number };

/** One contiguous write. Writes are performed in order, each durable before the next. */
export interface Patch {
  offset: number;
  bytes: Uint8Array;
}

export type LayoutName = 'uboot-env' | 'ipxe-script' | 'eeprom' | 'fw-env' | 'efivars' | 'rpi-eeprom';

export interface PointerLayout {
  readonly name: LayoutName;
  /** True where the firmware counts attempts down in phase `deploy` and takes the fallback image at none. */
  readonly firmwareCounts: boolean;
  /** Bytes of EEPROM the layout covers, from offset 0. */
  readonly size: number;
  /** True where sequence numbers wrap (sequence.ts); else the larger one counts and 0xffffffff is the last. */
  readonly wraps: boolean;
  /** The slot that is in force after every write, where it is always the same one: the other is a spare copy then. */
  readonly fixedSlot: SlotIndex | undefined;
  /** Both slots as found in `image` (at least `size` bytes). Never throws on any content. */
  read(image: Uint8Array): [Slot, Slot];
  /** The slot the firmware takes, by its own rule, be its record usable or not. Undefined: it takes none. */
  active(image: Uint8Array): SlotIndex | undefined;
  /**
   * What is wrong with the bytes that firmware obeys beside the slots, and what to do; undefined where nothing is. Absent: there
   * are none.
   */
  stubFault?(image: Uint8Array): string | undefined;
  /** Why nothing may be written over what `image` holds; undefined where it may. */
  refusal(image: Uint8Array): string | undefined;
  /**
   * The writes that store `pointer` in `slot` and make the firmware obey it, the deciding one last. Only for images without
   * refusal. Throws RangeError where the pointer does not fit, saying how much would.
   */
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
