import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  choosePage,
  decodeHeader,
  decodePage,
  encodeHeader,
  encodePage,
  MapError,
  mapFileSize,
  PAGE_RECORD_SIZE,
  PAGE_STATES_SIZE,
  SLOT_SIZE,
  slotOffset,
} from '../../imager/disks/map-format.ts';

const header = { size: 0x1_2345_6000, baseName: 'debian-12', baseDigest: `${'ab'.repeat(31)}cd` };

function slotWith(record: Uint8Array): Uint8Array {
  const slot = new Uint8Array(SLOT_SIZE);
  slot.set(record);
  return slot;
}

test('header, byte for byte', () => {
  const bytes = Buffer.from(encodeHeader(header));
  expect(bytes.length).toBe(4096);
  expect(bytes.toString('hex', 0, 70)).toBe(
    [
      '42574f5645524c59', // "BWOVERLY"
      '01000000', // version 1
      '00100000', // block size 4096
      '0060452301000000', // size 0x123456000
      `${'ab'.repeat(31)}cd`, // SHA-256 of the base
      '09', // length of the name
      Buffer.from('debian-12').toString('hex'),
      '00000000', // padding begins
    ].join(''),
  );
  expect(bytes.subarray(70, 4092).every((byte) => byte === 0)).toBe(true);
  // CRC-32 of the 4092 bytes before it, as Python's zlib.crc32 gives it for bytes put together there.
  expect(bytes.readUInt32LE(4092)).toBe(0x22fd089f);
  expect(decodeHeader(bytes)).toEqual(header);
});

test('page record, byte for byte', () => {
  const states = new Uint8Array(PAGE_STATES_SIZE);
  states.set([0b10_01_00_01, 0xaa]);
  const bytes = Buffer.from(encodePage(7, 0x1_0000_0002, states));
  expect(bytes.length).toBe(2068);
  expect(bytes.toString('hex', 0, 19)).toBe(
    [
      '42575047', // "BWPG"
      '07000000', // page 7
      '0200000001000000', // sequence number 0x100000002
      '91aa00', // block 0 data, 1 base, 2 data, 3 zero; 4 to 7 zero; 8 to 11 base
    ].join(''),
  );
  expect(bytes.readUInt32LE(2064)).toBe(0x412c406e);
  expect(decodePage(7, bytes)).toEqual({ sequence: 0x1_0000_0002, states: Buffer.from(states) });
});

test('a truncated, a foreign, a damaged and a newer header are told apart', () => {
  const good = encodeHeader(header);
  const changed = (at: number, value: number): Uint8Array => good.with(at, value) as Uint8Array;
  expect(() => decodeHeader(good.subarray(0, 4095))).toThrow(/truncated: 4095 of 4096/);
  expect(() => decodeHeader(changed(0, 0))).toThrow(/wrong magic/);
  expect(() => decodeHeader(changed(100, 1))).toThrow(/wrong CRC/);
  const newer = Buffer.from(good);
  newer.writeUInt32LE(2, 8);
  expect(() => decodeHeader(newer)).toThrow(MapError);
});

test('where slots are', () => {
  expect(slotOffset(0, 0)).toBe(4096);
  expect(slotOffset(0, 1)).toBe(8192);
  expect(slotOffset(3, 1)).toBe(4096 + 7 * 4096);
  // 33 MiB need two pages.
  expect(mapFileSize(33 * 2 ** 20)).toBe(4096 * 5);
});

test('a write torn at any byte leaves the copy before it', () => {
  const page = 5;
  const before = encodePage(page, 41, new Uint8Array(PAGE_STATES_SIZE).fill(0x55));
  const older = encodePage(page, 40, new Uint8Array(PAGE_STATES_SIZE).fill(0x11));
  const after = encodePage(page, 42, new Uint8Array(PAGE_STATES_SIZE).fill(0xaa));
  for (const previous of [older, new Uint8Array(PAGE_RECORD_SIZE)]) {
    for (let length = 0; length <= PAGE_RECORD_SIZE; length++) {
      const torn = slotWith(previous);
      torn.set(after.subarray(0, length));
      const chosen = choosePage(page, torn, slotWith(before));
      expect(chosen.sequence).toBe(length === PAGE_RECORD_SIZE ? 42 : 41);
      expect(chosen.slot).toBe(length === PAGE_RECORD_SIZE ? 0 : 1);
    }
  }
});

test('two damaged copies are an error, not an empty page', () => {
  const damaged = slotWith(encodePage(0, 1, new Uint8Array(PAGE_STATES_SIZE)));
  damaged[500] = 1;
  expect(() => choosePage(0, damaged, damaged)).toThrow(/page 0 is damaged/);
});

test('a copy of another page is none, and any flipped bit is seen', () => {
  const states = fc.uint8Array({ minLength: PAGE_STATES_SIZE, maxLength: PAGE_STATES_SIZE });
  fc.assert(
    fc.property(states, fc.nat(PAGE_RECORD_SIZE * 8 - 1), (raw, bit) => {
      const valid = raw.map((four) => four & ~((four & (four >> 1) & 0x55) * 3));
      const record = encodePage(9, 3, valid);
      expect(decodePage(9, record)?.states).toEqual(Buffer.from(valid));
      expect(decodePage(8, record)).toBeUndefined();
      record[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodePage(9, record)).toBeUndefined();
    }),
    { numRuns: 50 },
  );
});
