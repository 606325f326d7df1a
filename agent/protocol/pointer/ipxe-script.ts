/**
 * Pointer layout `ipxe-script`: the EEPROM is itself a script that iPXE runs (firmware-stubs/ipxe/README.md).
 *
 *     0x0000          the loader, up to the deciding sector; belongs to the firmware stub
 *     0x020c  1       the digit of the slot in force: '0', '1', or 'x' where there is none
 *     0x0800  0x800   slot 0
 *     0x1000  0x800   slot 1
 *     0x1800          the boot code; belongs to the firmware stub
 *
 * A slot is `:slot_N\n`, `# crc32 XXXXXXXX\n` (CRC-32 of the body in lower-case hexadecimal), then the body:
 * `set KEY VALUE` lines and `goto boot`, padded with spaces, ended by a line feed. iPXE cannot check a sum, so a
 * slot is written first and its digit last: one byte in a sector of its own.
 */
import { crc32 } from '../crc32.ts';
import type { Patch, PointerLayout, Slot, SlotIndex } from './layout.ts';
import { type BootPointer, fieldsOf, pointerFromFields } from './record.ts';

const SECTOR = 0x200;
const DECIDING_SECTOR = 0x200;
const DIGIT = 0x20c;
const SLOT_SIZE = 0x800;
const SLOT_OFFSET = [0x800, 0x1000] as const;
const HEAD_SIZE = 0x19;
const BODY_SIZE = SLOT_SIZE - HEAD_SIZE;
const SPACE = 0x20;
const LINE_FEED = 0x0a;
/**
 * The stub's own text by area, and the CRC-32s it has had: firmware-stubs/ipxe/eeprom.ipxe, the latest last. The deciding
 * digit is left out of its sector.
 */
const STUB_AREAS: readonly { name: string; ranges: readonly [number, number][]; crcs: readonly number[] }[] =
  [
    { name: 'the loader', ranges: [[0, 0x200]], crcs: [0xcf4ddb2f] },
    {
      name: 'the deciding sector',
      ranges: [
        [DECIDING_SECTOR, DIGIT],
        [DIGIT + 1, DECIDING_SECTOR + SECTOR],
      ],
      crcs: [0x76a7cec7],
    },
    { name: 'the jump to the slot', ranges: [[0x400, 0x800]], crcs: [0x03b80795] },
    // The former one took the host name from DHCP as it came.
    { name: 'the boot code (:boot)', ranges: [[0x1800, 0x2000]], crcs: [0x802cbdfc, 0x0f93a420] },
  ];
const NO_SLOT = 0x78;
const IMAGER_KEYS = ['bw_imager1', 'bw_imager2', 'bw_imager3', 'bw_imager4'];

export const ipxeScript: PointerLayout = {
  name: 'ipxe-script',
  firmwareCounts: false,
  wraps: false,
  fixedSlot: undefined,
  refusal: () => undefined,
  size: 0x2000,
  stubFault,
  read: (image) => [readSlot(image, 0), readSlot(image, 1)],
  active(image) {
    const digit = image[DIGIT];
    return digit === 0x30 ? 0 : digit === 0x31 ? 1 : undefined;
  },
  patches(image, slot, pointer): Patch[] {
    const deciding = new Uint8Array(image.subarray(DECIDING_SECTOR, DECIDING_SECTOR + SECTOR));
    deciding[DIGIT - DECIDING_SECTOR] = 0x30 + slot;
    return [
      { offset: SLOT_OFFSET[slot], bytes: encodeIpxeSlot(slot, pointer) },
      { offset: DECIDING_SECTOR, bytes: deciding },
    ];
  },
};

/** One slot's 2048 bytes around `pointer`. Throws RangeError where the record does not fit: no valid one is that long. */
export function encodeIpxeSlot(slot: SlotIndex, pointer: BootPointer): Uint8Array {
  const settings = [
    ...fieldsOf(pointer),
    ...IMAGER_KEYS.map((key, i): [string, string] => [key, pointer.imagers[i] ?? '']),
  ];
  const lines = settings.map(([key, value]) => (value === '' ? `set ${key}\n` : `set ${key} ${value}\n`));
  const text = new TextEncoder().encode(`${lines.join('')}goto boot\n`);
  const body = new Uint8Array(BODY_SIZE).fill(SPACE);
  body.set(text);
  body[BODY_SIZE - 1] = LINE_FEED;
  const bytes = new Uint8Array(SLOT_SIZE);
  bytes.set(new TextEncoder().encode(head(slot, body)));
  bytes.set(body, HEAD_SIZE);
  return bytes;
}

function head(slot: SlotIndex, body: Uint8Array): string {
  return `:slot_${slot}\n# crc32 ${crc32(body).toString(16).padStart(8, '0')}\n`;
}

function stubFault(image: Uint8Array): string | undefined {
  for (const { name, ranges, crcs } of STUB_AREAS) {
    const bytes = ranges.flatMap(([from, to]) => [...image.subarray(from, to)]);
    if (!crcs.includes(crc32(Uint8Array.from(bytes))))
      return (
        `${name}, at 0x${ranges[0]![0].toString(16).padStart(4, '0')}, is not the text of the iPXE stub: ` +
        'write eeprom.ipxe there again, all of it, then `agent pointer set`'
      );
  }
  const digit = image[DIGIT]!;
  // Without a record in either slot there is nothing to decide.
  const decides = ipxeScript.read(image).some(({ kind }) => kind !== 'empty');
  return ipxeScript.active(image) !== undefined || digit === NO_SLOT || !decides
    ? undefined
    : `the deciding digit is damaged (byte 0x${digit.toString(16).padStart(2, '0')} at 0x20c), so that iPXE takes neither slot: ` +
        '`agent pointer set` writes it again';
}

/** As a chip comes, or a file of zeroes. */
function isErased(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0) || bytes.every((byte) => byte === 0xff);
}

function readSlot(image: Uint8Array, slot: SlotIndex): Slot {
  const bytes = image.subarray(SLOT_OFFSET[slot], SLOT_OFFSET[slot] + SLOT_SIZE);
  if (bytes.length < SLOT_SIZE) return { kind: 'torn', why: `slot of ${bytes.length} bytes` };
  if (bytes.every((byte) => byte === SPACE || byte === LINE_FEED) || isErased(bytes))
    return { kind: 'empty' };
  const body = bytes.subarray(HEAD_SIZE);
  const found = new TextDecoder().decode(bytes.subarray(0, HEAD_SIZE));
  const expected = head(slot, body);
  if (found !== expected)
    return {
      kind: 'torn',
      why: `slot begins ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`,
      ours: found.startsWith(`:slot_${slot}\n`) || new TextDecoder().decode(body).startsWith('set bw_'),
    };
  const fields = new Map<string, string>();
  for (const line of new TextDecoder().decode(body).split('\n')) {
    const [word, key, value] = line.split(' ');
    if (word === 'set' && key !== undefined) fields.set(key, value ?? '');
  }
  const result = pointerFromFields(fields);
  return 'faults' in result ? { kind: 'invalid', ...result } : { kind: 'valid', pointer: result };
}
