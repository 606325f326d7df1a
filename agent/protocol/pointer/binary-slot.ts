/**
 * One boot pointer as a binary slot: for stores without room for text (a 24C02 has 256 bytes for both slots), and easily
 * read in C. Numbers are little-endian.
 *
 *     0x00  4  "BWP1"
 *     0x04  4  CRC-32 of `length` bytes from 0x08 on
 *     0x08  2  length: of the record, from here to its end
 *     0x0a  1  attempts
 *     0x0b  1  phase: 0 deploy, 1 ready
 *     0x0c  4  sequence
 *     0x10     texts: image, cluster, deployment, fallback; each one byte of length, then ASCII
 *           1  count of imagers, then 4 bytes of IPv4 address each, in network order
 *           1  count of disks, then a text each
 *
 * The head is that of every binary slot (slot-frame.ts).
 */
import { ipv4ToNumber, numberToIpv4 } from '../ipv4.ts';
import { fromLatin1 } from '../latin1.ts';
import type { Slot } from './layout.ts';
import { type BootPointer, pointerFaults } from './record.ts';
import { decodeSlotFrame, encodeSlotFrame, type SlotContent } from './slot-frame.ts';

const MAGIC = 'BWP1';
const PHASES = ['deploy', 'ready'] as const;

/** The slot's bytes, as long as the record. Only for pointers without faults. */
export function encodeBinarySlot(pointer: BootPointer): Uint8Array {
  const { image, cluster, deployment, fallback, imagers, disks, attempts, phase, sequence } = pointer;
  const rest: number[] = [];
  const text = (value: string) => rest.push(value.length, ...new TextEncoder().encode(value));
  for (const value of [image, cluster, deployment, fallback]) text(value);
  rest.push(imagers.length);
  for (const imager of imagers) rest.push(...imager.split('.').map(Number));
  rest.push(disks.length);
  for (const disk of disks) text(disk);
  return encodeSlotFrame(MAGIC, {
    own: [attempts, PHASES.indexOf(phase)],
    sequence,
    rest: Uint8Array.from(rest),
  });
}

/** What the bytes of one slot hold. Never throws. */
export function decodeBinarySlot(bytes: Uint8Array): Slot {
  const frame = decodeSlotFrame(MAGIC, bytes);
  return frame.kind === 'content' ? decodeRecord(frame.content) : frame;
}

function decodeRecord({ own: [attempts, phase], sequence, rest }: SlotContent): Slot {
  let at = 0;
  const byte = () => rest[at++] ?? 0;
  const take = (length: number) => {
    at += length;
    return rest.subarray(at - length, at);
  };
  const text = () => fromLatin1(take(byte()));
  const list = <T>(item: () => T): T[] => Array.from({ length: byte() }, item);
  const address = () => {
    const [a = 0, b = 0, c = 0, d = 0] = take(4);
    return numberToIpv4(ipv4ToNumber(`${a}.${b}.${c}.${d}`));
  };
  const [image, cluster, deployment, fallback] = [text(), text(), text(), text()];
  const imagers = list(address);
  const disks = list(text);
  const pointer: BootPointer = {
    ...{ sequence, image, disks, imagers, cluster, deployment },
    phase: PHASES[phase] ?? (`${phase}` as BootPointer['phase']),
    attempts,
    fallback,
  };
  const faults = pointerFaults(pointer);
  if (at !== rest.length)
    faults.unshift(`record of ${rest.length} bytes after its head, its texts and lists take ${at}`);
  return faults.length === 0 ? { kind: 'valid', pointer } : { kind: 'invalid', faults, sequence };
}
