/**
 * Images of the Raspberry Pi 4 and 5 bootloader EEPROM (pieeprom.bin, 512 KiB and 2 MiB), and the files in them. Layout as in
 * raspberrypi/rpi-eeprom, `rpi-eeprom-config`; numbers are big-endian:
 *
 *     a section: 0x00  4  magic: 0x55aaf00f under the mask 0xfffff00f; 0x55aaf11f is a file, 0x55aafeef padding
 *                0x04  4  length of what follows
 *                0x08     content; the next section begins at the next multiple of 8
 *     of a file: 0x08  12 its name, filled up with NUL
 *                0x14  4  not used
 *                0x18     its content, length - 16 bytes of it
 *     magic 0 or 0xffffffff: the end of the sections
 *
 * Files may have 4076 bytes, and 4072 where a section begins one sector behind: they have a sector of 4096 that is erased
 * alone. The last sector is the bootloader's own. What a file leaves free up to the next section is 0xff, as one padding
 * section where more sections come and 8 bytes are there for its head.
 * Images for two boot partitions (with a file `bootsys`) have room for one set of files in each: the first is meant.
 */
import { fromLatin1 } from '../latin1.ts';

export const IMAGE_SIZES: readonly number[] = [512 * 1024, 2 * 1024 * 1024];
export const MAX_FILE = 4076;

const MAGIC = 0x55aaf00f;
const MAGIC_MASK = 0xfffff00f;
const FILE_MAGIC = 0x55aaf11f;
const PADDING_MAGIC = 0x55aafeef;
const ERASED = 0xff;
const SECTION_HEAD = 8;
const NAME_SIZE = 12;
/** From a file section's beginning to its content. */
const FILE_HEAD = 24;
const SECTOR = 4096;
/** Where the first boot partition ends, in images with two; `rpi-eeprom-config` writes no further in others either. */
const FIRST_PARTITION_END = (64 + 988) * 1024;

export class RpiImageError extends Error {}

interface Section {
  magic: number;
  offset: number;
  length: number;
  /** Of files; else ''. */
  name: string;
}

/** Content of the file `name`; undefined where there is none. Throws RpiImageError where the image is damaged. */
export function rpiFile(image: Uint8Array, name: string): Uint8Array | undefined {
  const found = sectionsOf(image).find((section) => section.magic === FILE_MAGIC && section.name === name);
  return found && image.subarray(found.offset + FILE_HEAD, found.offset + SECTION_HEAD + found.length);
}

/**
 * The bytes that replace the file `name` by `content`, to be written at `offset`: the section and what it leaves free.
 * Throws RpiImageError where the image is damaged, has no such file or more than one, or no room.
 */
export function rpiFileUpdate(
  image: Uint8Array,
  name: string,
  content: Uint8Array,
): { offset: number; bytes: Uint8Array } {
  const sections = sectionsOf(image);
  const found = sections.filter((section) => section.magic === FILE_MAGIC && section.name === name);
  const [file] = found;
  if (file === undefined) throw new RpiImageError(`no file ${name} in the image`);
  if (found.length > 1)
    throw new RpiImageError(
      `${found.length} files ${name} in the image, one for each boot partition: which one the bootloader will read is not known`,
    );
  if (content.length > MAX_FILE)
    throw new RpiImageError(`${name} would have ${content.length} bytes, at most ${MAX_FILE} are possible`);
  const rest = sections.slice(sections.indexOf(file) + 1);
  const room = roomEnd(image, file, rest) - file.offset;
  if (FILE_HEAD + content.length > room)
    throw new RpiImageError(
      `${name} would have ${content.length} bytes, ${room - FILE_HEAD} are free up to the next section`,
    );
  return { offset: file.offset, bytes: fileSection(image, file, content, room, rest.length === 0) };
}

/** Where what belongs to nothing after `file` ends. */
function roomEnd(image: Uint8Array, file: Section, rest: Section[]): number {
  const next = rest.find(({ magic }) => magic !== PADDING_MAGIC);
  if (next !== undefined) return next.offset;
  const scratch = image.length - SECTOR;
  return file.offset < FIRST_PARTITION_END ? Math.min(scratch, FIRST_PARTITION_END) : scratch;
}

function fileSection(
  image: Uint8Array,
  file: Section,
  content: Uint8Array,
  room: number,
  last: boolean,
): Uint8Array {
  const bytes = new Uint8Array(room).fill(ERASED);
  const view = new DataView(bytes.buffer);
  bytes.set(image.subarray(file.offset, file.offset + FILE_HEAD));
  view.setUint32(4, FILE_HEAD - SECTION_HEAD + content.length);
  bytes.set(content, FILE_HEAD);
  const padding = align(FILE_HEAD + content.length);
  if (!last && room - padding >= SECTION_HEAD) {
    view.setUint32(padding, PADDING_MAGIC);
    view.setUint32(padding + 4, room - padding - SECTION_HEAD);
  }
  return bytes;
}

function sectionsOf(image: Uint8Array): Section[] {
  if (!IMAGE_SIZES.includes(image.length))
    throw new RpiImageError(`an image has ${IMAGE_SIZES.join(' or ')} bytes, not ${image.length}`);
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const sections: Section[] = [];
  for (let offset = 0; offset + SECTION_HEAD <= image.length; ) {
    const magic = view.getUint32(offset);
    if (magic === 0 || magic === 0xffffffff) break;
    const length = view.getUint32(offset + 4);
    if ((magic & MAGIC_MASK) >>> 0 !== MAGIC)
      throw new RpiImageError(`damaged image: no section begins at 0x${offset.toString(16)}`);
    if (offset + SECTION_HEAD + length > image.length)
      throw new RpiImageError(`damaged image: the section at 0x${offset.toString(16)} goes beyond the end`);
    if (magic === FILE_MAGIC && length < FILE_HEAD - SECTION_HEAD)
      throw new RpiImageError(`damaged image: the file at 0x${offset.toString(16)} has no head`);
    sections.push({ magic, offset, length, name: magic === FILE_MAGIC ? nameAt(image, offset) : '' });
    offset = align(offset + SECTION_HEAD + length);
  }
  if (sections.length === 0) throw new RpiImageError('no bootloader image: it begins with no section');
  return sections;
}

function nameAt(image: Uint8Array, offset: number): string {
  const name = image.subarray(offset + SECTION_HEAD, offset + SECTION_HEAD + NAME_SIZE);
  return fromLatin1(name).replaceAll('\0', '');
}

function align(offset: number): number {
  return (offset + 7) & ~7;
}
