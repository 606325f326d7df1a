/**
 * Reading and writing boot pointers on an EEPROM of any layout: the procedure that a power cut at any byte
 * leaves with the former or the new pointer, never none.
 */
import { type Patch, type PointerLayout, type Slot, type SlotIndex, slotSequence } from './layout.ts';
import { type BootPointer, pointerFaults, samePointer } from './record.ts';
import { newestSlot, sequenceAfter } from './sequence.ts';

/** The bytes under a store of two slots: a block device, a file, a chip behind a serial line. */
export interface Eeprom {
  /** What is stored, not what a cache holds. */
  read(offset: number, length: number): Uint8Array;
  /** Returns once the bytes survive a power cut. */
  write(offset: number, bytes: Uint8Array): void;
}

/**
 * Writes the slot that does not count: `patches` in their order, the deciding one last, each read back past every cache before
 * the next; then `fault` says why it does not count now. A power cut at any byte leaves the former slot in force or this one.
 * Throws what `unverified` makes of the reason where something is not as it should be.
 */
export function writeSlot(
  eeprom: Eeprom,
  patches: readonly Patch[],
  fault: () => string | undefined,
  unverified: (why: string) => Error,
): void {
  for (const { offset, bytes } of patches) {
    eeprom.write(offset, bytes);
    const stored = eeprom.read(offset, bytes.length);
    if (stored.length !== bytes.length || !stored.every((byte, i) => byte === bytes[i]))
      throw unverified(`${bytes.length} bytes at ${offset} read back differently`);
  }
  const why = fault();
  if (why !== undefined) throw unverified(why);
}

/** A write whose result is not what it should be; what is in force now must be read. */
export class PointerStoreError extends Error {}

/** Nothing was written: the record has faults or does not fit, or the store holds what must not be written over. */
export class PointerRefusedError extends PointerStoreError {}

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

  /** What is wrong with what firmware obeys beside the slots, and what to do; undefined where nothing is. */
  stubFault(): string | undefined {
    return this.layout.stubFault?.(this.#image());
  }

  /** Why `write` would refuse whatever record it is; undefined where it would not for what the store holds. */
  refusal(): string | undefined {
    return this.layout.refusal(this.#image());
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
   * Throws PointerRefusedError before anything is written, PointerStoreError where the read-back differs.
   */
  write(fields: Omit<BootPointer, 'sequence'>): BootPointer {
    const image = this.#image();
    const before = this.#view(image);
    const pointer: BootPointer = { ...fields, sequence: this.#nextSequence(before) };
    const faults = pointerFaults(pointer);
    if (faults.length > 0) throw new PointerRefusedError(`boot pointer not written: ${faults.join('; ')}`);
    const refusal = this.layout.refusal(image);
    if (refusal !== undefined) throw new PointerRefusedError(`boot pointer not written: ${refusal}`);
    if (this.#isInForce(before, pointer)) return before.pointer!;

    const slot: SlotIndex = this.layout.fixedSlot ?? (before.active === 0 ? 1 : 0);
    let after: PointerView = before;
    writeSlot(
      this.#eeprom,
      this.#patches(image, slot, pointer),
      () => {
        after = this.read();
        const counts = after.active === slot && after.pointer !== undefined;
        return counts && samePointer(after.pointer!, pointer)
          ? undefined
          : `slot ${slot} is not the one in force`;
      },
      (why) => new PointerStoreError(`boot pointer not verified: ${why}`),
    );
    return after.pointer!;
  }

  #nextSequence({ slots, active }: PointerView): number {
    if (!this.layout.wraps) return highestSequence(slots) + 1;
    const newest = active ?? newestSlot(slots);
    return sequenceAfter(newest === undefined ? undefined : slotSequence(slots[newest]));
  }

  /** A pointer that only a spare copy has is not: the firmware does not see it. */
  #isInForce({ pointer, active }: PointerView, wanted: BootPointer): boolean {
    const { fixedSlot } = this.layout;
    return (
      pointer !== undefined &&
      samePointer(pointer, wanted) &&
      (fixedSlot === undefined || active === fixedSlot)
    );
  }

  #patches(image: Uint8Array, slot: SlotIndex, pointer: BootPointer): Patch[] {
    try {
      return this.layout.patches(image, slot, pointer);
    } catch (error) {
      if (error instanceof RangeError)
        throw new PointerRefusedError(`boot pointer not written: ${error.message}`);
      throw error;
    }
  }
}

function highestSequence(slots: readonly Slot[]): number {
  return Math.max(0, ...slots.map((slot) => slotSequence(slot) ?? 0));
}
