/**
 * Header of a tagged network boot image: "Draft Net Boot Image Proposal 0.3" (J. Honan, G. Kuhlmann, K. Yap), section
 * "Image Format with Initial Magic Number". 512 bytes: the image header, one record a segment, and 55 AA at the end. The
 * segments' bytes follow in the same order without gaps. All numbers are little-endian. Pure.
 *
 *     0   magic 36 13 03 1B
 *     4   length of this header without vendor data in 4 bytes (low nibble, always 4), of its vendor data (high nibble)
 *     5   flags, 24 bits: 0 the program may return, 23 the execute address is linear (a 32-bit program)
 *     8   where the 512 bytes go: offset, segment
 *     12  execute address: offset, segment; or linear, 32 bits
 *     16  vendor data, then for each segment
 *     +0  lengths as above
 *     +1  tag, the vendor's own
 *     +2  0
 *     +3  flags: 0-1 what the load address counts from, 2 last segment
 *     +4  load address, +8 bytes in the file, +12 bytes in memory, +16 vendor data
 */

/** What is wrong with a tagged image, in words. */
export class NbiError extends Error {}

export const HEADER_BYTES = 512;
const MAGIC = 0x1b031336;
/** Length of header and record without vendor data. */
const FIXED_BYTES = 16;
const MAX_VENDOR_BYTES = 60;
const RECORDS_END = 510;

/** A real-mode address: segment times 16 plus offset. */
export interface FarAddress {
  segment: number;
  offset: number;
}

/** What a segment's load address counts from, in the order of the flag's values. */
export const PLACEMENTS = [
  'absolute',
  'after the segment before',
  'below the end of memory',
  'below the segment before',
] as const;
export type Placement = (typeof PLACEMENTS)[number];

export interface NbiSegment {
  tag: number;
  placement: Placement;
  address: number;
  /** Bytes in the file; the rest of the memory is cleared. */
  fileBytes: number;
  memoryBytes: number;
  /** A multiple of 4 bytes, 60 at most. */
  vendor: Uint8Array;
}

export interface NbiHeader {
  location: FarAddress;
  /** A number is the linear address of a 32-bit program. */
  entry: FarAddress | number;
  /** The program may return to the net boot process. */
  returns: boolean;
  vendor: Uint8Array;
  /** At least one. */
  segments: NbiSegment[];
}

/** The 512 bytes. Throws NbiError where a value does not fit its field or the records do not fit the header. */
export function encodeHeader(header: NbiHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  bytes[4] = lengths(header.vendor);
  bytes[5] = header.returns ? 1 : 0;
  setFar(view, 8, header.location);
  if (typeof header.entry === 'number') {
    bytes[7] = 0x80;
    setWord(view, 12, header.entry);
  } else setFar(view, 12, header.entry);
  bytes.set(header.vendor, FIXED_BYTES);
  let at = FIXED_BYTES + header.vendor.length;
  if (header.segments.length === 0) throw new NbiError('an image has one segment at least');
  header.segments.forEach((segment, index) => {
    const end = at + FIXED_BYTES + segment.vendor.length;
    if (end > RECORDS_END)
      throw new NbiError(`the records of ${header.segments.length} segments do not fit the header`);
    bytes[at] = lengths(segment.vendor);
    if (!Number.isInteger(segment.tag) || segment.tag < 0 || segment.tag > 255)
      throw new NbiError(`segment ${index + 1}: tag ${segment.tag} is no byte`);
    bytes[at + 1] = segment.tag;
    const last = index === header.segments.length - 1 ? 4 : 0;
    bytes[at + 3] = PLACEMENTS.indexOf(segment.placement) | last;
    setWord(view, at + 4, segment.address);
    setWord(view, at + 8, segment.fileBytes);
    setWord(view, at + 12, segment.memoryBytes);
    bytes.set(segment.vendor, at + FIXED_BYTES);
    at = end;
  });
  bytes.set([0x55, 0xaa], RECORDS_END);
  return bytes;
}

/** True where `bytes` begin as a tagged image does. */
export function isNbi(bytes: Uint8Array): boolean {
  return [0x36, 0x13, 0x03, 0x1b].every((byte, index) => bytes[index] === byte);
}

/** The header at the start of `bytes`. Throws NbiError where it is not one, cut short, or not as the proposal has it. */
export function decodeHeader(bytes: Uint8Array): NbiHeader {
  if (!isNbi(bytes)) throw new NbiError('no tagged image: it does not begin with 36 13 03 1B');
  if (bytes.length < HEADER_BYTES)
    throw new NbiError(`the header is cut short: ${bytes.length} of ${HEADER_BYTES} bytes`);
  if (bytes[RECORDS_END] !== 0x55 || bytes[RECORDS_END + 1] !== 0xaa)
    throw new NbiError('the header does not end with 55 AA');
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const vendor = vendorAt(bytes, 0, 4, 'the header');
  const flags = view.getUint32(4, true) >>> 8;
  if ((flags & 0x7ffffe) !== 0) throw new NbiError(`reserved flags are set: 0x${flags.toString(16)}`);
  const linear = (flags & 0x800000) !== 0;
  const segments: NbiSegment[] = [];
  let at = FIXED_BYTES + vendor.length;
  for (let last = false; !last; ) {
    const which = `segment ${segments.length + 1}`;
    if (at + FIXED_BYTES > RECORDS_END)
      throw new NbiError(`no record is marked the last: ${which} is past the header`);
    const segment: NbiSegment = {
      tag: bytes[at + 1]!,
      placement: PLACEMENTS[bytes[at + 3]! & 3]!,
      address: view.getUint32(at + 4, true),
      fileBytes: view.getUint32(at + 8, true),
      memoryBytes: view.getUint32(at + 12, true),
      vendor: vendorAt(bytes, at, at, which),
    };
    if (bytes[at + 2] !== 0 || (bytes[at + 3]! & 0xf8) !== 0)
      throw new NbiError(`${which}: reserved bits are set`);
    segments.push(segment);
    last = (bytes[at + 3]! & 4) !== 0;
    at += FIXED_BYTES + segment.vendor.length;
  }
  return {
    location: farAt(view, 8),
    entry: linear ? view.getUint32(12, true) : farAt(view, 12),
    returns: (flags & 1) !== 0,
    vendor,
    segments,
  };
}

/** The linear address of a real-mode one. */
export function linear({ segment, offset }: FarAddress): number {
  return segment * 16 + offset;
}

/** The vendor data of the record at `start`, whose lengths are in the byte at `lengthsAt`. */
function vendorAt(bytes: Uint8Array, start: number, lengthsAt: number, which: string): Uint8Array {
  const fixed = (bytes[lengthsAt]! & 0x0f) * 4;
  if (fixed !== FIXED_BYTES)
    throw new NbiError(`${which}: a record of ${fixed} bytes, ${FIXED_BYTES} are known`);
  const end = start + FIXED_BYTES + (bytes[lengthsAt]! >> 4) * 4;
  if (end > RECORDS_END) throw new NbiError(`${which}: its vendor data are past the header`);
  return Uint8Array.from(bytes.subarray(start + FIXED_BYTES, end));
}

function lengths(vendor: Uint8Array): number {
  if (vendor.length % 4 !== 0 || vendor.length > MAX_VENDOR_BYTES)
    throw new NbiError(`vendor data of ${vendor.length} bytes: a multiple of 4, at most ${MAX_VENDOR_BYTES}`);
  return (vendor.length << 2) | (FIXED_BYTES / 4);
}

function setWord(view: DataView, at: number, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
    throw new NbiError(`${value} does not fit 32 bits`);
  view.setUint32(at, value, true);
}

function setFar(view: DataView, at: number, { segment, offset }: FarAddress): void {
  for (const value of [segment, offset])
    if (!Number.isInteger(value) || value < 0 || value > 0xffff)
      throw new NbiError(`${value} does not fit 16 bits`);
  view.setUint16(at, offset, true);
  view.setUint16(at + 2, segment, true);
}

function farAt(view: DataView, at: number): FarAddress {
  return { segment: view.getUint16(at + 2, true), offset: view.getUint16(at, true) };
}
