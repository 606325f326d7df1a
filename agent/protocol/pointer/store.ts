/**
 * Reading and writing boot pointers on an EEPROM of any layout: the procedure that a power cut at any byte
 * leaves with the former or the new pointer, never none.
 */
import { type PointerLayout, type Slot, type SlotIndex, slotSequence } from './layout.ts';
import { type BootPointer, pointerFaults, samePointer } from './record.ts';

/** The bytes under a pointer store: a block device, a file, a chip behind a serial line. */
export interface Eeprom {
  /** What is stored, not what a cache holds. */
  read(offset: number, length: number): Uint8Array;
  /** Returns once the bytes survive a power cut. */
  write(offset: number, bytes: Uint8Array): void;
}

export class PointerStoreError extends Error {}

export interface PointerView {
  slots: [Slot, Slot];
  /** The slot the firmware takes; undefined where it takes none. */
  active: SlotIndex | undefined;
  /** The record in that slot; undefined where it is not usable. */
  pointer: BootPointer | undefined;
}

export class PointerStore {
  readonly layout: PointerLayout;
  readonly #eeprom: Eeprom;

  constructor(layout: PointerLayout, eeprom: Eeprom) {
    this.layout = layout;
    this.#eeprom = eeprom;
  }

  /** Both slots and the pointer in force. */
  read(): PointerView {
    return this.#view(this.#image());
  }

  #image(): Uint8Array {
    return this.#eeprom.read(0, this.layout.size);
  }

  #view(image: Uint8Array): PointerView {
    const slots = this.layout.read(image);
    const active = this.layout.active(image);
    const slot = active === undefined ? undefined : slots[active];
    return { slots, active, pointer: slot?.kind === 'valid' ? slot.pointer : undefined };
  }

  /**
   * Stores `fields` with the next sequence number in the slot that is not in force, reads it back past every
   * cache and gives what the firmware will obey. Nothing is written where that pointer is in force already.
   * Throws PointerStoreError for a record with faults, or where the read-back differs.
   */
  write(fields: Omit<BootPointer, 'sequence'>): BootPointer {
    const image = this.#image();
    const before = this.#view(image);
    const sequence = highestSequence(before.slots) + 1;
    const pointer: BootPointer = { ...fields, sequence };
    const faults = pointerFaults(pointer);
    if (faults.length > 0) throw new PointerStoreError(`boot pointer not written: ${faults.join('; ')}`);
    if (before.pointer !== undefined && samePointer(before.pointer, pointer)) return before.pointer;

    const slot: SlotIndex = before.active === 0 ? 1 : 0;
    for (const patch of this.layout.patches(image, slot, pointer)) {
      this.#eeprom.write(patch.offset, patch.bytes);
      const stored = this.#eeprom.read(patch.offset, patch.bytes.length);
      if (!stored.every((byte, i) => byte === patch.bytes[i]))
        throw new PointerStoreError(
          `boot pointer not verified: ${patch.bytes.length} bytes at ${patch.offset} read back differently`,
        );
    }
    const after = this.read();
    if (after.active !== slot || after.pointer === undefined || !samePointer(after.pointer, pointer))
      throw new PointerStoreError(`boot pointer not verified: slot ${slot} is not the one in force`);
    return after.pointer;
  }
}

function highestSequence(slots: readonly Slot[]): number {
  return Math.max(0, ...slots.map((slot) => slotSequence(slot) ?? 0));
}
