/**
 * Sequence numbers that wrap: 0 comes after 0xffffffff. Compared with serial number arithmetic (RFC 1982, SERIAL_BITS = 32):
 * `b` is newer than `a` where it is 1 to 2^31 - 1 steps ahead. Equal numbers, and those just 2^31 apart, which RFC 1982
 * leaves undefined, decide nothing: slot 0 is taken then, by every reader.
 */
import { type Slot, type SlotIndex, slotSequence } from './layout.ts';

const HALF = 0x8000_0000;

/** True where `b` comes after `a` on the circle of 32-bit numbers. */
export function isNewer(b: number, a: number): boolean {
  const ahead = (b - a) >>> 0;
  return ahead !== 0 && ahead < HALF;
}

/** The slot with the newer number, of those with a right checksum; undefined where none has one. */
export function newestSlot(slots: readonly [Slot, Slot]): SlotIndex | undefined {
  return newestOf(slotSequence(slots[0]), slotSequence(slots[1]));
}

/** The same of the numbers themselves, undefined for a slot without one. */
export function newestOf(a: number | undefined, b: number | undefined): SlotIndex | undefined {
  if (a === undefined) return b === undefined ? undefined : 1;
  return b !== undefined && isNewer(b, a) ? 1 : 0;
}

/** The number for the next write: one after `sequence`, 0 after 0xffffffff, 1 where there is none yet. */
export function sequenceAfter(sequence: number | undefined): number {
  return ((sequence ?? 0) + 1) >>> 0;
}
