/** What a boot file is, with every field of a tagged image and what an x86 kernel asks of its loader. Pure. */
import { type BzImage, decodeBzImage, isBzImage } from './bzimage.ts';
import { type Look, look } from './look.ts';
import { decodeHeader, type FarAddress, linear, type NbiHeader, type Placement } from './nbi/header.ts';
import { faults, hex, place } from './nbi/layout.ts';
import { TAGS, VENDOR } from './nbi/linux.ts';
import { loaderFaults } from './nbi/loader.ts';

export interface Inspected extends Look {
  /** Why a tagged image cannot be loaded, in words. */
  faults: string[];
  nbi?: InspectedNbi;
  kernel?: BzImage;
}

export interface InspectedNbi {
  location: FarAddress;
  /** A number is the linear address of a 32-bit program. */
  entry: FarAddress | number;
  returns: boolean;
  /** In hexadecimal. */
  vendor: string;
  /** Why nbi.0 does not load it, and the boot table does not take it, in words; nothing where they do. */
  loaderFaults: string[];
  segments: InspectedSegment[];
}

export interface InspectedSegment {
  /** What it is for, in images that the imager built. */
  purpose?: string;
  tag: number;
  placement: Placement;
  address: number;
  /** First byte in memory; null where it depends on the machine's memory. */
  start: number | null;
  memoryBytes: number;
  fileOffset: number;
  fileBytes: number;
  vendor: string;
}

/**
 * What the file of `bytes` bytes is that begins with `head`, its first LOOK_BYTES. Throws NbiError where it begins as a
 * tagged image but has no readable header.
 */
export function inspect(head: Uint8Array, bytes: number): Inspected {
  const found = look(head);
  if (found.format === 'nbi') {
    const header = decodeHeader(head);
    return { ...found, faults: faults(header, bytes), nbi: inspectNbi(header, bytes) };
  }
  if (found.format === 'linux' && isBzImage(head))
    return { ...found, faults: [], kernel: decodeBzImage(head) };
  return { ...found, faults: [] };
}

function inspectNbi(header: NbiHeader, bytes: number): InspectedNbi {
  const { location, entry, returns, vendor } = header;
  const placed = place(header);
  const ours = Buffer.from(vendor).toString('latin1') === VENDOR;
  const segments = header.segments.map((segment, index): InspectedSegment => {
    const purpose = ours ? TAGS[segment.tag] : undefined;
    const { start = null, fileOffset } = placed[index]!;
    const { tag, placement, address, memoryBytes, fileBytes } = segment;
    return {
      ...(purpose === undefined ? {} : { purpose }),
      ...{ tag, placement, address, start, memoryBytes, fileOffset, fileBytes },
      vendor: Buffer.from(segment.vendor).toString('hex'),
    };
  });
  return {
    ...{ location, entry, returns, vendor: Buffer.from(vendor).toString('hex') },
    ...{ loaderFaults: loaderFaults(header, bytes), segments },
  };
}

/** The same as groups of names and values for people. */
export function inspectedLines({ nbi, kernel }: Inspected): [string, string][][] {
  if (nbi !== undefined)
    return [headerLines(nbi), ...nbi.segments.map((_, index) => segmentLines(nbi, index))];
  return kernel === undefined ? [] : [kernelLines(kernel)];
}

function headerLines(nbi: InspectedNbi): [string, string][] {
  const { location, entry, returns, vendor, segments } = nbi;
  return [
    ['magic', '0x1b031336'],
    ['header at', far(location)],
    ['execute at', typeof entry === 'number' ? `${hex(entry)}, a 32-bit program` : far(entry)],
    ['may return', returns ? 'yes' : 'no'],
    ['vendor data', vendorText(vendor)],
    [
      'nbi.0',
      nbi.loaderFaults.length === 0 ? 'can load it' : `cannot load it: ${nbi.loaderFaults.join('; ')}`,
    ],
    ['segments', String(segments.length)],
  ];
}

function segmentLines({ segments }: InspectedNbi, index: number): [string, string][] {
  const { purpose, tag, placement, address, start, memoryBytes, fileOffset, fileBytes, vendor } =
    segments[index]!;
  const from =
    start === null ? 'from where depends on the machine' : `from ${start < 0 ? start : hex(start)}`;
  return [
    ['segment', `${index + 1}${purpose === undefined ? '' : `, ${purpose}`}`],
    ['tag', String(tag)],
    ['load address', `${hex(address)}, ${placement}`],
    ['in memory', `${memoryBytes} bytes ${from}`],
    ['in the file', `${fileBytes} bytes from ${hex(fileOffset)}`],
    ['vendor data', vendorText(vendor)],
    ['last', index === segments.length - 1 ? 'yes' : 'no'],
  ];
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
function vendorText(vendor: string): string {
  if (vendor === '') return 'none';
  const text = Buffer.from(vendor, 'hex').toString('latin1').replace(/\0+$/, '');
  return /^[ -~]+$/.test(text) ? JSON.stringify(text) : vendor;
}
