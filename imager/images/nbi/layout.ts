/** Where a tagged image's segments go in memory and in the file, and what of that cannot be right. Pure. */
import { HEADER_BYTES, linear, type NbiHeader } from './header.ts';

export interface PlacedSegment {
  /** Where its bytes begin in the file. */
  fileOffset: number;
  /** First and one past the last byte of memory; undefined where they depend on the machine's memory. */
  start?: number;
  end?: number;
}

/** Interrupt vectors and the BIOS's own data. */
const LOWEST = 0x500;
/** Video memory and ROMs. */
const HOLE_START = 0xa0000;
const HOLE_END = 0x100000;
const FOUR_GIB = 0x100000000;

/** Where each segment goes. `memoryEnd`: the end of the machine's memory, where it is known. */
export function place(header: NbiHeader, memoryEnd?: number): PlacedSegment[] {
  let fileOffset = HEADER_BYTES;
  let start: number | undefined = linear(header.location);
  let end: number | undefined = start + HEADER_BYTES;
  return header.segments.map(({ placement, address, fileBytes, memoryBytes }) => {
    const base = { absolute: 0, after: end, memory: memoryEnd, below: start };
    const from: Record<typeof placement, number | undefined> = {
      absolute: address,
      'after the segment before': base.after === undefined ? undefined : base.after + address,
      'below the end of memory': base.memory === undefined ? undefined : base.memory - address,
      'below the segment before': base.below === undefined ? undefined : base.below - address,
    };
    start = from[placement];
    end = start === undefined ? undefined : start + memoryBytes;
    const placed: PlacedSegment = {
      fileOffset,
      ...(start === undefined || end === undefined ? {} : { start, end }),
    };
    fileOffset += fileBytes;
    return placed;
  });
}

/**
 * What is wrong with an image of `fileBytes` bytes, in words; nothing where it can be loaded. Segments that overlap
 * are a fault, though Etherboot and iPXE load them.
 */
export function faults(header: NbiHeader, fileBytes: number, memoryEnd?: number): string[] {
  const found: string[] = [];
  const placed = place(header, memoryEnd);
  const wanted = header.segments.reduce((sum, segment) => sum + segment.fileBytes, HEADER_BYTES);
  if (fileBytes < wanted) found.push(`the file is cut short: ${fileBytes} of ${wanted} bytes`);
  if (fileBytes > wanted) found.push(`${fileBytes - wanted} bytes follow the last segment`);

  const location = linear(header.location);
  const areas = [{ name: 'the header', start: location, end: location + HEADER_BYTES }];
  header.segments.forEach((segment, index) => {
    const name = `segment ${index + 1}`;
    if (segment.fileBytes > segment.memoryBytes)
      found.push(`${name}: ${segment.fileBytes} bytes in the file, ${segment.memoryBytes} in memory`);
    const { start, end } = placed[index]!;
    if (start !== undefined && end !== undefined && end !== start) areas.push({ name, start, end });
  });
  for (const { name, start, end } of areas) found.push(...misplaced(name, start, end, memoryEnd));
  areas.forEach((area, index) => {
    for (const other of areas.slice(0, index))
      if (area.start < other.end && other.start < area.end) found.push(`${area.name} overlaps ${other.name}`);
  });
  found.push(...entryFaults(header, placed));
  return found;
}

function misplaced(name: string, start: number, end: number, memoryEnd: number | undefined): string[] {
  const where = `${name} (${hex(start)}..${hex(end - 1)})`;
  if (start < 0) return [`${name} begins ${-start} bytes below address 0`];
  if (start < LOWEST) return [`${where} overwrites the BIOS's data below ${hex(LOWEST)}`];
  if (start < HOLE_END && end > HOLE_START) return [`${where} lies in video memory or ROM`];
  if (end > FOUR_GIB) return [`${where} ends above 4 GiB`];
  if (memoryEnd !== undefined && end > memoryEnd)
    return [`${where} ends above the memory, ${hex(memoryEnd)}`];
  return [];
}

function entryFaults({ entry, segments }: NbiHeader, placed: readonly PlacedSegment[]): string[] {
  const at = typeof entry === 'number' ? entry : linear(entry);
  const inside = segments.some(({ fileBytes }, index) => {
    const start = placed[index]?.start;
    return start === undefined || (at >= start && at < start + fileBytes);
  });
  return inside ? [] : [`the execute address ${hex(at)} is in no segment`];
}

/** A number as addresses are written: 0x9000. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
