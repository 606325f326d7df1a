/**
 * UEFI variables in the image of a flash bank, as edk2 keeps them (MdeModulePkg/Include/Guid/VariableFormat.h, "authenticated"
 * variables), for machines that are switched off. Numbers are little-endian. Pure.
 *
 *     firmware volume header      0x30  2  its length; the store follows
 *     variable store header       0x00 16  GUID aaf32c78-947b-439a-a180-2e144ec37792
 *                                 0x10  4  size of the store, this header included
 *                                 0x1c     the first variable; each begins at a multiple of 4
 *     variable                    0x00  2  0x55aa; anything else: free from here on
 *                                 0x02  1  state: a bit is cleared with each step of its life
 *                                 0x04  4  attributes
 *                                 0x08 28  count, time and key, for variables that are signed
 *                                 0x24  4  bytes of the name, which ends with a zero; UCS-2
 *                                 0x28  4  bytes of data
 *                                 0x2c 16  GUID
 *                                 0x3c     name, data
 */
import { STORED_FOR_ALL } from '../../agent/protocol/pointer/efi-variables.ts';

const STORE_GUID = 'aaf32c78-947b-439a-a180-2e144ec37792';
const STORE_HEADER = 0x1c;
const VARIABLE = 0x3c;
const START = 0x55aa;
const FREE = 0xff;
/** States (VAR_ADDED; and VAR_IN_DELETED_TRANSITION cleared, while its successor is written). */
const ADDED = 0x3f;
const BEING_REPLACED = 0x3e;
const DELETED_MASK = 0xfd;

interface Found {
  offset: number;
  state: number;
  name: string;
  guid: string;
  data: Uint8Array;
}

/** The data of a variable; undefined where there is none. Throws Error where the image has no variable store. */
export function readVariable(image: Uint8Array, name: string, guid: string): Uint8Array | undefined {
  const all = storeOf(image).variables.filter((found) => found.name === name && found.guid === guid);
  // A machine that was cut between the two has both: the firmware takes the one that is whole.
  return (
    all.find(({ state }) => state === ADDED)?.data ?? all.find(({ state }) => state === BEING_REPLACED)?.data
  );
}

/** The image with this variable, for firmware and operating system. Throws Error where it has no room or no variable store. */
export function withVariable(image: Uint8Array, name: string, guid: string, data: Uint8Array): Uint8Array {
  const { variables, end, limit } = storeOf(image);
  const after = image.slice();
  for (const found of variables)
    if (found.name === name && found.guid === guid) after[found.offset + 2]! &= DELETED_MASK;
  const ucs2 = Buffer.from(`${name}\0`, 'utf16le');
  if (end + VARIABLE + ucs2.length + data.length > limit)
    throw new Error(`no room for variable ${name}: ${limit - end} bytes are free`);
  if (image.subarray(end, end + VARIABLE).some((byte) => byte !== FREE))
    throw new Error(`what lies at ${end} of the variable store is neither a variable nor free`);
  const head = Buffer.alloc(VARIABLE);
  head.writeUInt16LE(START, 0x00);
  head.writeUInt8(ADDED, 0x02);
  head.writeUInt32LE(STORED_FOR_ALL, 0x04);
  head.writeUInt32LE(ucs2.length, 0x24);
  head.writeUInt32LE(data.length, 0x28);
  head.set(guidBytes(guid), 0x2c);
  after.set(Buffer.concat([head, ucs2, data]), end);
  return after;
}

/** All variables, deleted ones too, where free space begins, and where the store ends. */
function storeOf(image: Uint8Array): { variables: Found[]; end: number; limit: number } {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length);
  const store = bytes.readUInt16LE(0x30);
  if (!bytes.subarray(store, store + 16).equals(guidBytes(STORE_GUID)))
    throw new Error('no UEFI variable store of the kind that edk2 keeps');
  const limit = Math.min(store + bytes.readUInt32LE(store + 0x10), bytes.length);
  const variables: Found[] = [];
  let offset = store + STORE_HEADER;
  while (offset + VARIABLE <= limit && bytes.readUInt16LE(offset) === START) {
    // A power cut in its header. edk2 takes both sizes for 0 then (NameSizeOfVariable, DataSizeOfVariable) and goes on behind it.
    const unborn =
      bytes.readUInt8(offset + 2) === FREE ||
      [0x04, 0x24, 0x28].some((field) => bytes.readUInt32LE(offset + field) === 0xffffffff);
    const nameSize = unborn ? 0 : bytes.readUInt32LE(offset + 0x24);
    const dataSize = unborn ? 0 : bytes.readUInt32LE(offset + 0x28);
    const [text, data] = [offset + VARIABLE, offset + VARIABLE + nameSize];
    // Sizes that no firmware has written: nobody can tell what lies behind.
    if (data + dataSize > limit) break;
    variables.push({
      offset,
      state: bytes.readUInt8(offset + 2),
      name: bytes.toString('utf16le', text, data).replace(/\0$/, ''),
      guid: guidText(bytes.subarray(offset + 0x2c, offset + 0x3c)),
      data: Uint8Array.from(bytes.subarray(data, data + dataSize)),
    });
    offset = (data + dataSize + 3) & ~3;
  }
  return { variables, end: offset, limit };
}

/** The first three fields are little-endian (UEFI 2.10 appendix A). */
function guidBytes(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function guidText(bytes: Buffer): string {
  const copy = Buffer.from(bytes);
  copy.subarray(0, 4).reverse();
  copy.subarray(4, 6).reverse();
  copy.subarray(6, 8).reverse();
  return copy.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
