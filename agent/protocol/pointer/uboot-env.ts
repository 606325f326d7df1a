/**
 * Pointer layout `uboot-env`: two U-Boot environment blocks, one a slot, at offsets 0 and 0x1000.
 *
 *     0x000  4  CRC-32 of the 4092 bytes that follow, little-endian (U-Boot env/common.c, `env import -c`)
 *     0x004     "key=value" texts, each ended by NUL, the list ended by one more NUL; the rest is NUL
 *
 * The firmware obeys the valid slot with the larger bw_sequence. A write goes to the other slot, whole: while it
 * is incomplete its CRC fails, so that a power cut at any byte leaves the former pointer in force.
 */
import { crc32 } from '../crc32.ts';
import { type Patch, type PointerLayout, type Slot, type SlotIndex, slotSequence } from './layout.ts';
import { type BootPointer, fieldsOf, pointerFromFields } from './record.ts';

export const UBOOT_SLOT_SIZE = 0x1000;
const CRC_SIZE = 4;

export const ubootEnv: PointerLayout = {
  name: 'uboot-env',
  firmwareCounts: true,
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
  const block = new Uint8Array(UBOOT_SLOT_SIZE);
  const text = fieldsOf(pointer)
    .map(([key, value]) => `${key}=${value}\0`)
    .join('');
  block.set(new TextEncoder().encode(text), CRC_SIZE);
  new DataView(block.buffer).setUint32(0, crc32(block.subarray(CRC_SIZE)), true);
  return block;
}

function slotBytes(image: Uint8Array, slot: SlotIndex): Uint8Array {
  return image.subarray(slot * UBOOT_SLOT_SIZE, (slot + 1) * UBOOT_SLOT_SIZE);
}

function readSlot(block: Uint8Array): Slot {
  if (block.length < UBOOT_SLOT_SIZE) return { kind: 'torn', why: `slot of ${block.length} bytes` };
  if (block.every((byte) => byte === 0) || block.every((byte) => byte === 0xff)) return { kind: 'empty' };
  const stored = new DataView(block.buffer, block.byteOffset).getUint32(0, true);
  const computed = crc32(block.subarray(CRC_SIZE));
  if (stored !== computed)
    return { kind: 'torn', why: `CRC-32 is ${hex(computed)}, the slot says ${hex(stored)}` };
  const result = pointerFromFields(readFields(block.subarray(CRC_SIZE)));
  return 'faults' in result ? { kind: 'invalid', ...result } : { kind: 'valid', pointer: result };
}

function readFields(bytes: Uint8Array): Map<string, string> {
  const fields = new Map<string, string>();
  let start = 0;
  while (start < bytes.length && bytes[start] !== 0) {
    const end = bytes.indexOf(0, start);
    const entry = new TextDecoder().decode(bytes.subarray(start, end === -1 ? bytes.length : end));
    const equals = entry.indexOf('=');
    if (equals > 0) fields.set(entry.slice(0, equals), entry.slice(equals + 1));
    if (end === -1) break;
    start = end + 1;
  }
  return fields;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
