/** Binary slots, byte for byte, and the chips they are written to. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it, test } from 'vitest';
import { eepromLayout, pageSize, pageWrites } from '../../agent/protocol/pointer/at24.ts';
import { decodeBinarySlot, encodeBinarySlot } from '../../agent/protocol/pointer/binary-slot.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { LARGEST_SLOT } from '../../agent/protocol/pointer/slot-pair.ts';
import { PointerRefusedError, PointerStore } from '../../agent/protocol/pointer/store.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { TornEeprom } from '../fakes/torn-eeprom.ts';
import { FIELDS, POINTER } from './stores.ts';

const LONGEST: BootPointer = {
  sequence: 0xffff_ffff,
  image: 'i'.repeat(63),
  disks: [...'abcdefgh'].map((letter) => letter.repeat(63)),
  imagers: ['255.255.255.255', '10.0.0.1', '10.0.0.2', '0.0.0.0'],
  cluster: 'c'.repeat(63),
  deployment: 'd'.repeat(32),
  phase: 'ready',
  attempts: 255,
  fallback: 'f'.repeat(63),
};

const ascii = (text: string) => [...Buffer.from(text)];

test('golden bytes', () => {
  const bytes = encodeBinarySlot(POINTER);
  expect([...bytes]).toEqual([
    ...ascii('BWP1'),
    ...[0x63, 0x98, 0x33, 0xc1], // CRC-32 of what follows, little-endian (Python's zlib.crc32)
    ...[0x2a, 0x00], // 42 bytes from here on, these two included
    0x03, // attempts
    0x00, // phase deploy
    ...[0x07, 0x00, 0x00, 0x00], // sequence
    ...[5, ...ascii('alpha')], // image
    ...[3, ...ascii('one')], // cluster
    ...[2, ...ascii('d1')], // deployment
    0, // no fallback
    ...[2, 10, 77, 0, 1, 10, 77, 0, 2], // imagers
    ...[2, 4, ...ascii('root'), 4, ...ascii('data')], // disks
  ]);
  expect(decodeBinarySlot(bytes)).toEqual({ kind: 'valid', pointer: POINTER });
});

test('a 24C02 with two pointers, for readers in other languages', () => {
  const eeprom = new TornEeprom(new Uint8Array(256).fill(0xff));
  const store = new PointerStore(eepromLayout(256), eeprom);
  store.write(FIELDS);
  store.write({ ...FIELDS, image: 'beta', disks: [], phase: 'ready', attempts: 255, fallback: 'beta' });
  expect(
    Buffer.from(eeprom.bytes).equals(readFileSync(projectFile('fixtures/pointer/eeprom-24c02.bin'))),
  ).toBe(true);
});

test('the longest record fits the largest slot', () => {
  const bytes = encodeBinarySlot(LONGEST);
  expect(bytes.length).toBeLessThan(LARGEST_SLOT);
  expect(decodeBinarySlot(bytes)).toEqual({ kind: 'valid', pointer: LONGEST });
});

const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/);

test('reads what was written, whatever comes after it', () => {
  fc.assert(
    fc.property(
      fc.record({
        sequence: fc.nat(0xffff_ffff),
        image: name,
        disks: fc.array(name, { maxLength: 8 }),
        imagers: fc.array(fc.ipV4(), { minLength: 1, maxLength: 4 }),
        cluster: name,
        deployment: fc.stringMatching(/^[a-z0-9]{1,32}$/),
        phase: fc.constantFrom('deploy' as const, 'ready' as const),
        attempts: fc.nat(255),
        fallback: fc.oneof(fc.constant(''), name),
      }),
      fc.uint8Array({ maxLength: 40 }),
      (pointer, rest) => {
        const bytes = Uint8Array.from([...encodeBinarySlot(pointer), ...rest]);
        expect(decodeBinarySlot(bytes)).toEqual({ kind: 'valid', pointer });
      },
    ),
  );
});

test('every bit of a record counts', () => {
  const bytes = encodeBinarySlot(POINTER);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(decodeBinarySlot(flipped).kind, `bit ${bit}`).toBe('torn');
  }
});

test('what never held a record is empty, the rest is torn and says why', () => {
  expect(decodeBinarySlot(new Uint8Array(128))).toEqual({ kind: 'empty' });
  expect(decodeBinarySlot(new Uint8Array(128).fill(0xff))).toEqual({ kind: 'empty' });
  const why = (bytes: Uint8Array) => (decodeBinarySlot(bytes) as { why?: string }).why;
  expect(why(new Uint8Array(15))).toBe('slot of 15 bytes');
  expect(why(new Uint8Array(128).fill(0x41))).toBe('slot begins "AAAA", not "BWP1"');
  expect(why(encodeBinarySlot(POINTER).subarray(0, -1))).toBe('record of 42 bytes in a slot of 49');
});

test.each([
  [256, 8],
  [512, 16],
  [2048, 16],
  [4096, 32],
  [65536, 128],
])('a chip of %i bytes has pages of %i at least', (size, page) => {
  expect(pageSize(size)).toBe(page);
});

test.each([0, 128, 255, 300, 131_072])('%i bytes is no chip', (size) => {
  expect(() => eepromLayout(size)).toThrow(`${size} bytes is not the size of a 24Cxx chip`);
});

it('no write crosses a page, and together they are the whole', () => {
  fc.assert(
    fc.property(
      fc.nat(2000),
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(8, 16, 32, 64, 128),
      (offset, bytes, page) => {
        const writes = pageWrites({ offset, bytes }, page);
        let at = offset;
        for (const write of writes) {
          expect(write.offset).toBe(at);
          expect(Math.floor(write.offset / page)).toBe(
            Math.floor((write.offset + write.bytes.length - 1) / page),
          );
          at += write.bytes.length;
        }
        expect(Buffer.concat(writes.map((write) => write.bytes))).toEqual(Buffer.from(bytes));
      },
    ),
  );
});

it('a record too long for a small chip is refused, and nothing is written', () => {
  const eeprom = new TornEeprom(new Uint8Array(256));
  const store = new PointerStore(eepromLayout(256), eeprom);
  expect(() => store.write({ ...FIELDS, disks: LONGEST.disks })).toThrow(PointerRefusedError);
  expect(() => store.write({ ...FIELDS, disks: LONGEST.disks })).toThrow(
    /takes \d+ bytes, a slot here has 128/,
  );
  expect(eeprom.written).toBe(0);
});

it('what lies behind the slots of a large chip is left alone', () => {
  const chip = new Uint8Array(65536).fill(0x5a);
  chip.fill(0, 0, 2 * LARGEST_SLOT);
  const eeprom = new TornEeprom(chip);
  const store = new PointerStore(eepromLayout(65536), eeprom);
  store.write(FIELDS);
  store.write({ ...FIELDS, image: 'beta' });
  expect(eeprom.bytes.subarray(2 * LARGEST_SLOT)).toEqual(chip.subarray(2 * LARGEST_SLOT));
});
