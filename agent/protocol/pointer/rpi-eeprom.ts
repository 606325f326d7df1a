/**
 * Pointer layout `rpi-eeprom`: the boot pointer in the configuration (`bootconf.txt`) of a Raspberry Pi bootloader image
 * (rpi-image.ts), in one part of it; everything else there is kept.
 *
 *     # bootwright begin
 *     [none]
 *     # slot 0 crc32 XXXXXXXX
 *     bw_sequence=7
 *     ...
 *     # slot 1 crc32 XXXXXXXX
 *     ...
 *     [all]
 *     TFTP_IP=10.77.0.1
 *     # bootwright end
 *
 * The CRC-32 is of the slot's lines `KEY=VALUE`, their line feeds included, in lower-case hexadecimal. The bootloader takes
 * no notice of them: `[none]` is true of no board. What it obeys is TFTP_IP, the first imager of the pointer in force: it
 * asks that one for everything, and that one chooses by the pointer.
 *
 * The slot with the right CRC and the newer sequence number is in force (sequence.ts). An image is a file, which a new one
 * takes the place of whole; nothing is written in place into a chip.
 */
import { crc32 } from '../crc32.ts';
import { fromLatin1, toLatin1 } from '../latin1.ts';
import type { Patch, PointerLayout, Slot, SlotIndex } from './layout.ts';
import { type BootPointer, fieldsOf, pointerFromFields } from './record.ts';
import { RpiImageError, rpiFile, rpiFileUpdate } from './rpi-image.ts';
import { newestSlot } from './sequence.ts';

const CONFIG = 'bootconf.txt';
const SIGNATURE = 'bootconf.sig';
const BEGIN = '# bootwright begin\n';
const END = '# bootwright end\n';
const SLOT_HEAD = /^# slot ([01]) crc32 ([0-9a-f]{8})$/;

interface Config {
  before: string;
  /** Each slot's text, its first line included; '' where it has none. */
  slots: [string, string];
  after: string;
}

/** On images of `size` bytes. */
export function rpiEeprom(size: number): PointerLayout {
  return {
    name: 'rpi-eeprom',
    firmwareCounts: false,
    size,
    wraps: true,
    fixedSlot: undefined,
    read: readSlots,
    active: (image) => newestSlot(readSlots(image)),
    refusal,
    patches(image, slot, pointer): Patch[] {
      const { before, slots, after } = partsOf(configOf(image));
      slots[slot] = slotText(slot, pointer);
      const ours = `${BEGIN}[none]\n${slots.join('')}[all]\nTFTP_IP=${pointer.imagers[0]}\n${END}`;
      try {
        return [rpiFileUpdate(image, CONFIG, toLatin1(`${before}${ours}${after}`))];
      } catch (error) {
        throw error instanceof RpiImageError ? new RangeError(error.message) : error;
      }
    },
  };
}

/** Throws RpiImageError where the image is damaged or has no configuration. */
function configOf(image: Uint8Array): string {
  const config = rpiFile(image, CONFIG);
  if (config === undefined) throw new RpiImageError(`no file ${CONFIG} in the image`);
  return fromLatin1(config);
}

function refusal(image: Uint8Array): string | undefined {
  try {
    partsOf(configOf(image));
    const signature = rpiFile(image, SIGNATURE);
    return signature?.some((byte) => byte !== 0 && byte !== 0xff)
      ? `its ${CONFIG} is signed (${SIGNATURE}), and a bootloader that checks signatures would refuse a changed one: ` +
          "change it where the key is, with its owner's tools"
      : undefined;
  } catch (error) {
    if (error instanceof RpiImageError) return error.message;
    throw error;
  }
}

function readSlots(image: Uint8Array): [Slot, Slot] {
  try {
    const [a, b] = partsOf(configOf(image)).slots;
    return [readSlot(a), readSlot(b)];
  } catch (error) {
    if (!(error instanceof RpiImageError)) throw error;
    return [
      { kind: 'torn', why: error.message },
      { kind: 'torn', why: error.message },
    ];
  }
}

/** Throws RpiImageError where our part has no end: what is not ours could not be told from it. */
function partsOf(text: string): Config {
  const begin = `\n${text}`.indexOf(`\n${BEGIN}`);
  if (begin === -1) {
    const before = text === '' || text.endsWith('\n') ? text : `${text}\n`;
    return { before, slots: ['', ''], after: '' };
  }
  const end = text.indexOf(`\n${END}`, begin);
  if (end === -1) throw new RpiImageError(`${CONFIG} has "${BEGIN.trim()}" without an end`);
  const slots: [string, string] = ['', ''];
  let current: SlotIndex | undefined;
  for (const line of text.slice(begin + BEGIN.length, end).split('\n')) {
    const head = SLOT_HEAD.exec(line);
    if (head !== null) current = head[1] === '1' ? 1 : 0;
    else if (/^[#[]/.test(line)) current = undefined;
    if (current !== undefined) slots[current] += `${line}\n`;
  }
  return { before: text.slice(0, begin), slots, after: text.slice(end + 1 + END.length) };
}

function slotText(slot: SlotIndex, pointer: BootPointer): string {
  const body = fieldsOf(pointer)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
  return `# slot ${slot} crc32 ${checksum(body)}\n${body}`;
}

function readSlot(text: string): Slot {
  if (text === '') return { kind: 'empty' };
  const body = text.slice(text.indexOf('\n') + 1);
  const [stored, computed] = [SLOT_HEAD.exec(text.split('\n')[0]!)?.[2], checksum(body)];
  if (stored !== computed) return { kind: 'torn', why: `CRC-32 is ${computed}, the slot says ${stored}` };
  const fields = new Map<string, string>();
  for (const line of body.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) fields.set(line.slice(0, equals), line.slice(equals + 1));
  }
  const result = pointerFromFields(fields);
  return 'faults' in result ? { kind: 'invalid', ...result } : { kind: 'valid', pointer: result };
}

function checksum(body: string): string {
  return crc32(toLatin1(body)).toString(16).padStart(8, '0');
}
