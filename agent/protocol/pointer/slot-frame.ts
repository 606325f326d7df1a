/**
 * What is around the content of every binary slot, boot pointer (binary-slot.ts) or local store (../local-slot.ts). Numbers are
 * little-endian.
 *
 *     0x00  4  four letters that say what it is
 *     0x04  4  CRC-32 of `length` bytes from 0x08 on
 *     0x08  2  length: of the content, from here to its end
 *     0x0a  2  two bytes of the content's own
 *     0x0c  4  sequence
 *     0x10     the rest of the content
 *
 * What is behind the end counts for nothing. Bytes that are all 0x00 or all 0xff never held a slot's content.
 */
import { crc32 } from '../crc32.ts';
import { fromLatin1 } from '../latin1.ts';

const CRC = 4;
const BODY = 8;
/** Of the content, up to its rest. */
const FIXED_BODY = 8;

/** Bytes before the rest of the content. */
export const SLOT_HEAD = BODY + FIXED_BODY;

export interface SlotContent {
  own: [number, number];
  sequence: number;
  rest: Uint8Array;
}

export type SlotFrame =
  | { kind: 'content'; content: SlotContent }
  | { kind: 'empty' }
  /** `ours`: it begins as such a slot does. */
  | { kind: 'torn'; why: string; ours?: boolean };

/** The slot's bytes, as long as the content. */
export function encodeSlotFrame(magic: string, { own, sequence, rest }: SlotContent): Uint8Array {
  const bytes = new Uint8Array(SLOT_HEAD + rest.length);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(magic));
  view.setUint16(0x08, FIXED_BODY + rest.length, true);
  bytes.set(own, 0x0a);
  view.setUint32(0x0c, sequence, true);
  bytes.set(rest, SLOT_HEAD);
  view.setUint32(CRC, crc32(bytes.subarray(BODY)), true);
  return bytes;
}

/** What the bytes of one slot hold. Never throws. */
export function decodeSlotFrame(magic: string, bytes: Uint8Array): SlotFrame {
  if (bytes.length < SLOT_HEAD) return { kind: 'torn', why: `slot of ${bytes.length} bytes` };
  if (bytes.every((byte) => byte === 0) || bytes.every((byte) => byte === 0xff)) return { kind: 'empty' };
  const found = fromLatin1(bytes.subarray(0, magic.length));
  if (found !== magic) return { kind: 'torn', why: `slot begins ${JSON.stringify(found)}, not "${magic}"` };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint16(0x08, true);
  if (length < FIXED_BODY || BODY + length > bytes.length)
    return { kind: 'torn', why: `record of ${length} bytes in a slot of ${bytes.length}`, ours: true };
  const body = bytes.subarray(BODY, BODY + length);
  const [stored, computed] = [view.getUint32(CRC, true), crc32(body)];
  if (stored !== computed)
    return { kind: 'torn', why: `CRC-32 is ${hex(computed)}, the slot says ${hex(stored)}`, ours: true };
  return {
    kind: 'content',
    content: {
      own: [view.getUint8(0x0a), view.getUint8(0x0b)],
      sequence: view.getUint32(0x0c, true),
      rest: body.subarray(FIXED_BODY),
    },
  };
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
