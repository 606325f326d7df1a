/** A boot file in words: what it is, and every field of a tagged image. Pure. */
import { type BzImage, decodeBzImage, isBzImage } from './bzimage.ts';
import { LOOK_BYTES, look } from './look.ts';
import { decodeHeader, type FarAddress, linear, type NbiHeader, type NbiSegment } from './nbi/header.ts';
import { faults, hex, type PlacedSegment, place } from './nbi/layout.ts';
import { TAGS, VENDOR } from './nbi/linux.ts';

export interface Inspected {
  /** `a Linux kernel for amd64` */
  words: string;
  /** Groups of names and values. */
  lines: [string, string][][];
  /** Why a tagged image cannot be loaded. */
  faults: string[];
  /** The fields as they are: of a tagged image, or of an x86 kernel. */
  nbi?: NbiHeader & { placed: PlacedSegment[] };
  kernel?: BzImage;
}

/** Throws NbiError where `file` begins as a tagged image but has no readable header. */
export function inspect(file: Uint8Array): Inspected {
  const head = file.subarray(0, LOOK_BYTES);
  const { words, format } = look(head);
  if (format === 'nbi') {
    const header = decodeHeader(file);
    const placed = place(header);
    const lines = [
      headerLines(header),
      ...header.segments.map((_, index) => segmentLines(header, placed, index)),
    ];
    return { words, lines, faults: faults(header, file.length), nbi: { ...header, placed } };
  }
  if (format === 'linux' && isBzImage(head)) {
    const kernel = decodeBzImage(file);
    return { words, lines: [kernelLines(kernel)], faults: [], kernel };
  }
  return { words, lines: [], faults: [] };
}

function headerLines(header: NbiHeader): [string, string][] {
  const { entry, location, returns, vendor, segments } = header;
  return [
    ['magic', '0x1b031336'],
    ['header at', far(location)],
    ['execute at', typeof entry === 'number' ? `${hex(entry)}, a 32-bit program` : far(entry)],
    ['may return', returns ? 'yes' : 'no'],
    ['vendor data', vendorText(vendor)],
    ['segments', String(segments.length)],
  ];
}

function segmentLines(
  header: NbiHeader,
  placed: readonly PlacedSegment[],
  index: number,
): [string, string][] {
  const segment = header.segments[index]!;
  const { start, end, fileOffset } = placed[index]!;
  const memory =
    start === undefined || end === undefined
      ? 'depends on the memory of the machine'
      : `${start < 0 ? start : hex(start)}..${end - 1 < 0 ? end - 1 : hex(end - 1)}`;
  return [
    ['segment', `${index + 1}${tagName(header, segment)}`],
    ['tag', String(segment.tag)],
    ['load address', `${hex(segment.address)}, ${segment.placement}`],
    ['memory', `${memory}, ${segment.memoryBytes} bytes`],
    ['in the file', `${segment.fileBytes} bytes from ${hex(fileOffset)}`],
    ['vendor data', vendorText(segment.vendor)],
    ['last', index === header.segments.length - 1 ? 'yes' : 'no'],
  ];
}

/** What a segment is for, in images of our own. */
function tagName({ vendor }: NbiHeader, { tag }: NbiSegment): string {
  const ours = Buffer.from(vendor).toString('latin1') === VENDOR;
  return ours && TAGS[tag] !== undefined ? `, ${TAGS[tag]}` : '';
}

function kernelLines(kernel: BzImage): [string, string][] {
  return [
    ['boot protocol', `${kernel.protocol >> 8}.${kernel.protocol & 0xff}`],
    ['setup code', `${kernel.setupBytes} bytes`],
    ['command line', `at most ${kernel.commandLineBytes} characters`],
    ['unpacks to', `${hex(kernel.preferredAddress)}, ${kernel.initBytes} bytes`],
    ['initrd', `at most up to ${hex(kernel.initrdMax)}`],
  ];
}

function far(address: FarAddress): string {
  const digits = (value: number) => value.toString(16).padStart(4, '0');
  return `${digits(address.segment)}:${digits(address.offset)} (${hex(linear(address))})`;
}

/** Printable vendor data as text, others as bytes. */
function vendorText(vendor: Uint8Array): string {
  if (vendor.length === 0) return 'none';
  const text = Buffer.from(vendor).toString('latin1').replace(/\0+$/, '');
  return /^[ -~]+$/.test(text) ? JSON.stringify(text) : Buffer.from(vendor).toString('hex');
}
