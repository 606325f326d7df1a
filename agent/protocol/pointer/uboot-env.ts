/**
 * Pointer layout `uboot-env`: two U-Boot environment blocks, one a slot, at offsets 0 and 0x1000.
 *
 *     0x000  4  CRC-32 of the 4092 bytes that follow, little-endian (env-block.ts; U-Boot's `env import -c`)
 *     0x004     "key=value" texts, each ended by NUL, the list ended by one more NUL; the rest is NUL
 *
 * The firmware obeys the valid slot with the larger bw_sequence. A write goes to the other slot, whole: while it
 * is incomplete its CRC fails, so that a power cut at any byte leaves the former pointer in force.
 */

import { fromLatin1 } from '../latin1.ts';
import { decodeEnvBlock, encodeEnvBlock } from './env-block.ts';
import { type Patch, type PointerLayout, type Slot, type SlotIndex, slotSequence } from './layout.ts';
import { type BootPointer, fieldsOf, pointerFromFields } from './record.ts';

export const UBOOT_SLOT_SIZE = 0x1000;

export const ubootEnv: PointerLayout = {
  name: 'uboot-env',
  firmwareCounts: true,
  wraps: false,
  fixedSlot: undefined,
  refusal: () => undefined,
  size: 2 * UBOOT_SLOT_SIZE,
  read: (image) => [readSlot(slotBytes(image, 0)), readSlot(slotBytes(image, 1))],
  active(image) {
    const [a, b] = ubootEnv.read(image).map(slotSequence);
    if (a === undefined) return b === undefined ? undefined : 1;
    return b !== undefined && b > a ? 1 : 0;
  },
  patches(_image, slot, pointer): Patch[] {
    return [{ offset: slot * UBOOT_SLOT_SIZE, bytes: encodeUbootSlot(pointer) }];
  },
};

/** One slot's 4096 bytes around `pointer`. */
export function encodeUbootSlot(pointer: BootPointer): Uint8Array {
  return encodeEnvBlock({ variables: new Map(fieldsOf(pointer)), flag: undefined }, UBOOT_SLOT_SIZE);
}

function readSlot(block: Uint8Array): Slot {
  if (block.length < UBOOT_SLOT_SIZE) return { kind: 'torn', why: `slot of ${block.length} bytes` };
  const found = decodeEnvBlock(block, false);
  if ('why' in found)
    return found.empty
      ? { kind: 'empty' }
      : { kind: 'torn', why: found.why, ours: fromLatin1(block).includes('\0bw_') };
  const result = pointerFromFields(found.variables);
  return 'faults' in result ? { kind: 'invalid', ...result } : { kind: 'valid', pointer: result };
}

function slotBytes(image: Uint8Array, slot: SlotIndex): Uint8Array {
  return image.subarray(slot * UBOOT_SLOT_SIZE, (slot + 1) * UBOOT_SLOT_SIZE);
}
