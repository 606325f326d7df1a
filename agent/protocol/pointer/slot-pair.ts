/**
 * Pointer layouts `eeprom` and `efivars`: two binary slots (binary-slot.ts) one behind the other. The slot with the right
 * CRC and the newer sequence number is in force (sequence.ts: numbers wrap; where they are equal or decide nothing, slot 0).
 * A write goes to the other slot: while it is incomplete its CRC fails.
 */
import { decodeBinarySlot, encodeBinarySlot } from './binary-slot.ts';
import type { LayoutName, PointerLayout, Slot, SlotIndex } from './layout.ts';
import { newestSlot } from './sequence.ts';

/** Holds the longest record there is: eight disks, four imagers, names of 63 characters. */
export const LARGEST_SLOT = 1024;

/** Slot 0 at 0, slot 1 at `slotSize`. */
export function slotPair(name: Extract<LayoutName, 'eeprom' | 'efivars'>, slotSize: number): PointerLayout {
  const read = (image: Uint8Array): [Slot, Slot] => [slotAt(image, 0), slotAt(image, 1)];
  const slotAt = (image: Uint8Array, slot: SlotIndex) =>
    decodeBinarySlot(image.subarray(slot * slotSize, (slot + 1) * slotSize));
  return {
    name,
    firmwareCounts: true,
    size: 2 * slotSize,
    wraps: true,
    fixedSlot: undefined,
    read,
    active: (image) => newestSlot(read(image)),
    refusal: () => undefined,
    patches(_image, slot, pointer) {
      const bytes = encodeBinarySlot(pointer);
      if (bytes.length > slotSize)
        throw new RangeError(
          `the record takes ${bytes.length} bytes, a slot here has ${slotSize}: use shorter names or fewer disks`,
        );
      return [{ offset: slot * slotSize, bytes }];
    },
  };
}
