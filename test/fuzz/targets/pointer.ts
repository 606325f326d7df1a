/** Boot pointers in every byte layout, and a write over whatever is there. */
import { crc32 } from 'node:zlib';
import { isName } from '../../../agent/protocol/names.ts';
import { eepromLayout } from '../../../agent/protocol/pointer/at24.ts';
import { encodeBinarySlot } from '../../../agent/protocol/pointer/binary-slot.ts';
import { encodeEnvBlock } from '../../../agent/protocol/pointer/env-block.ts';
import { redundantFwEnv } from '../../../agent/protocol/pointer/fw-env.ts';
import { encodeIpxeSlot, ipxeScript } from '../../../agent/protocol/pointer/ipxe-script.ts';
import { type PointerLayout, slotSequence } from '../../../agent/protocol/pointer/layout.ts';
import { type BootPointer, fieldsOf, pointerFaults } from '../../../agent/protocol/pointer/record.ts';
import { PointerRefusedError, PointerStore } from '../../../agent/protocol/pointer/store.ts';
import { encodeUbootSlot, UBOOT_SLOT_SIZE, ubootEnv } from '../../../agent/protocol/pointer/uboot-env.ts';
import { promise, type Target } from '../target.ts';

const POINTER: BootPointer = {
  sequence: 4_294_967_294,
  image: 'debian-12',
  disks: ['node1-root', 'node1-data'],
  imagers: ['10.77.0.1', '10.77.0.2'],
  cluster: 'lab',
  deployment: 'd2026',
  phase: 'deploy',
  attempts: 3,
  fallback: 'debian-11',
};
const { sequence: _, ...FIELDS } = { ...POINTER, image: 'written' };
const WRITTEN_ONCE_IN = 256;

interface SlotOf {
  layout: PointerLayout;
  /** Where slot 0 lies. */
  at: number;
  bytes: number;
  encode(pointer: BootPointer): Uint8Array;
  /** Gives a slot the right checksum. */
  seal(slot: Uint8Array): void;
  tokens: string[];
  /** What the EEPROM holds before slot 1 is written; zeroes where it is not set. */
  blank?: Uint8Array;
}

/**
 * A packet is slot 0. Two of three get a right checksum: what comes behind it is to be fuzzed as well. Now and then an
 * EEPROM with a good slot 1 is written to.
 */
function pointerTarget({ layout, at, bytes: size, encode, seal, tokens, blank }: SlotOf): Target {
  const image = blank === undefined ? new Uint8Array(layout.size) : blank.slice();
  for (const patch of layout.patches(image, 1, POINTER)) image.set(patch.bytes, patch.offset);
  const slot = image.subarray(at, at + size);
  const alone = image.subarray(0, at + size);
  let turn = 0;
  return {
    seeds: [POINTER, { ...POINTER, sequence: 0, disks: [], fallback: '' }].map(encode),
    tokens: tokens.map((token) => Buffer.from(token, 'latin1')),
    maxLength: size,
    take(bytes) {
      slot.fill(0);
      slot.set(bytes);
      if (((bytes[0] ?? 0) + bytes.length) % 3 !== 0) seal(slot);
      const [found] = layout.read(alone);
      if (found.kind === 'valid')
        promise(pointerFaults(found.pointer).length === 0 && isName(found.pointer.image), 'a valid record');
      if (turn++ % WRITTEN_ONCE_IN === 0) written(layout, image.slice());
      return found.kind === 'valid';
    },
  };
}

/**
 * Whatever an EEPROM holds, a write comes through and the next number is its, but where no number is left above what it holds,
 * the layout refuses, or other variables of an environment leave no room. What is refused changes nothing.
 */
function written(layout: PointerLayout, image: Uint8Array): void {
  const store = new PointerStore(layout, {
    read: (at, length) => image.slice(at, at + length),
    write: (at, bytes) => image.set(bytes, at),
  });
  const { slots, active } = store.read();
  const before = slots.map((slot) => slotSequence(slot) ?? 0);
  const full = !layout.wraps && Math.max(...before) >= 0xffffffff;
  const refused = layout.refusal(image) !== undefined;
  const untouched = image.slice();
  try {
    const after = store.write(FIELDS);
    promise(!full && !refused, 'what is refused is not written');
    promise(after.image === 'written' && store.read().pointer?.image === 'written', 'what is written counts');
    const next = layout.wraps
      ? ((active === undefined ? 0 : before[active]!) + 1) >>> 0
      : Math.max(...before) + 1;
    promise(after.sequence === next, `number ${after.sequence} is the next one`);
  } catch (error) {
    if (!(error instanceof PointerRefusedError)) throw error;
    if (!full && !refused && !/environment of \d+ bytes, at most \d+ fit$/.test(error.message)) throw error;
    promise(Buffer.compare(image, untouched) === 0, 'what is refused changes nothing');
  }
}

export function binarySlotTarget(): Target {
  return pointerTarget({
    layout: eepromLayout(1024),
    at: 0,
    bytes: 512,
    encode: encodeBinarySlot,
    seal: (slot) => {
      const view = new DataView(slot.buffer, slot.byteOffset);
      const length = Math.min(view.getUint16(8, true), slot.length - 8);
      slot.set(Buffer.from('BWP1'));
      view.setUint16(8, length, true);
      view.setUint32(4, crc32(slot.subarray(8, 8 + length)), true);
    },
    tokens: ['BWP1', '\0', '\xff', '\x05alpha', '\x01\x0a\x4d\x00\x01', '\x3f', '\x02..'],
  });
}

/** The other copy has flag byte 255; where it is damaged too, nothing may be written. */
export function fwEnvTarget(): Target {
  const size = 0x400;
  const blank = new Uint8Array(2 * size);
  const variables = new Map([['bootcmd', 'run distro_bootcmd']]);
  blank.set(encodeEnvBlock({ variables, flag: 254 }, size));
  return pointerTarget({
    layout: redundantFwEnv(size, 'counter'),
    at: 0,
    bytes: size,
    blank,
    encode: (pointer) =>
      encodeEnvBlock({ variables: new Map([...variables, ...fieldsOf(pointer)]), flag: 0 }, size),
    seal: (slot) => new DataView(slot.buffer, slot.byteOffset).setUint32(0, crc32(slot.subarray(5)), true),
    tokens: [
      'bw_sequence=',
      'bw_image=',
      'bw_imagers=10.77.0.1\0',
      '\0',
      '=',
      '\0\0',
      '.flags=',
      '4294967295\0',
    ],
  });
}

export function ubootEnvTarget(): Target {
  return pointerTarget({
    layout: ubootEnv,
    at: 0,
    bytes: UBOOT_SLOT_SIZE,
    encode: encodeUbootSlot,
    seal: (slot) => new DataView(slot.buffer, slot.byteOffset).setUint32(0, crc32(slot.subarray(4)), true),
    tokens: ['bw_sequence=', 'bw_image=', 'bw_disks=', 'bw_phase=ready\0', '\0', '=', '4294967295\0', '../'],
  });
}

export function ipxeScriptTarget(): Target {
  return pointerTarget({
    layout: ipxeScript,
    at: 0x800,
    bytes: 0x800,
    encode: (pointer) => encodeIpxeSlot(0, pointer),
    seal: (slot) => {
      const sum = crc32(slot.subarray(0x19)).toString(16).padStart(8, '0');
      slot.set(Buffer.from(`:slot_0\n# crc32 ${sum}\n`));
    },
    tokens: ['set ', 'set bw_sequence ', 'set bw_image ', '\n', ' ', '$', '4294967295', 'goto boot\n'],
  });
}
