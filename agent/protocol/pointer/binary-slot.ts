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
 * What is behind the record's end counts for nothing. Bytes that are all 0x00 or all 0xff never held a record.
 */
import { crc32 } from '../crc32.ts';
import { ipv4ToNumber, numberToIpv4 } from '../ipv4.ts';
import { fromLatin1 } from '../latin1.ts';
import type { Slot } from './layout.ts';
import { type BootPointer, pointerFaults } from './record.ts';

const MAGIC = 'BWP1';
const CRC = 4;
const BODY = 8;
/** Up to the first text, from BODY on. */
const FIXED_BODY = 8;
const PHASES = ['deploy', 'ready'] as const;

/** The slot's bytes, as long as the record. Only for pointers without faults. */
export function encodeBinarySlot(pointer: BootPointer): Uint8Array {
  const { image, cluster, deployment, fallback, imagers, disks } = pointer;
  const rest: number[] = [];
  const text = (value: string) => rest.push(value.length, ...new TextEncoder().encode(value));
  for (const value of [image, cluster, deployment, fallback]) text(value);
  rest.push(imagers.length);
  for (const imager of imagers) rest.push(...imager.split('.').map(Number));
  rest.push(disks.length);
  for (const disk of disks) text(disk);

  const bytes = new Uint8Array(BODY + FIXED_BODY + rest.length);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint16(0x08, FIXED_BODY + rest.length, true);
  view.setUint8(0x0a, pointer.attempts);
  view.setUint8(0x0b, PHASES.indexOf(pointer.phase));
  view.setUint32(0x0c, pointer.sequence, true);
  bytes.set(rest, BODY + FIXED_BODY);
  view.setUint32(CRC, crc32(bytes.subarray(BODY)), true);
  return bytes;
}

/** What the bytes of one slot hold. Never throws. */
export function decodeBinarySlot(bytes: Uint8Array): Slot {
  if (bytes.length < BODY + FIXED_BODY) return { kind: 'torn', why: `slot of ${bytes.length} bytes` };
  if (bytes.every((byte) => byte === 0) || bytes.every((byte) => byte === 0xff)) return { kind: 'empty' };
  const magic = fromLatin1(bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC) return { kind: 'torn', why: `slot begins ${JSON.stringify(magic)}, not "${MAGIC}"` };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint16(0x08, true);
  if (length < FIXED_BODY || BODY + length > bytes.length)
    return { kind: 'torn', why: `record of ${length} bytes in a slot of ${bytes.length}`, ours: true };
  const body = bytes.subarray(BODY, BODY + length);
  const [stored, computed] = [view.getUint32(CRC, true), crc32(body)];
  if (stored !== computed)
    return { kind: 'torn', why: `CRC-32 is ${hex(computed)}, the slot says ${hex(stored)}`, ours: true };
  return decodeRecord(view, body.subarray(FIXED_BODY));
}

function decodeRecord(view: DataView, rest: Uint8Array): Slot {
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
  const sequence = view.getUint32(0x0c, true);
  const phase = view.getUint8(0x0b);
  const pointer: BootPointer = {
    ...{ sequence, image, disks, imagers, cluster, deployment },
    phase: PHASES[phase] ?? (`${phase}` as BootPointer['phase']),
    attempts: view.getUint8(0x0a),
    fallback,
  };
  const faults = pointerFaults(pointer);
  if (at !== rest.length)
    faults.unshift(`record of ${rest.length} bytes after its head, its texts and lists take ${at}`);
  return faults.length === 0 ? { kind: 'valid', pointer } : { kind: 'invalid', faults, sequence };
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
