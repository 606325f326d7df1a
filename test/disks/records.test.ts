/** The bytes of superblock, generations and journal records. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK_SIZE, FormatError, levelCount } from '../../imager/disks/format.ts';
import { decodeTable, encodeTable, type Generation } from '../../imager/disks/generation-table.ts';
import {
  type Change,
  changeSize,
  decodeRecord,
  encodeLink,
  NO_CRCS,
  putChange,
  RECORD_HEAD,
  sealRecord,
} from '../../imager/disks/journal-record.ts';
import {
  chooseSuperblock,
  decodeSuperblock,
  encodeSuperblock,
  type Superblock,
} from '../../imager/disks/superblock.ts';

const superblock: Superblock = {
  sequence: 7,
  size: 0x1_0000_0200,
  base: { name: 'web', size: 0x0020_0000, digest: '0123456789abcdef'.repeat(4) },
  root: { place: 0x22, crc: 0xdeadbeef },
  blocks: { data: 3, zero: 4 },
  table: { place: 0x30, crc: 0xcafe, count: 1, rows: 2 },
  parent: 2,
  next: 3,
  journal: { place: 0x40, count: 32, salt: 'f0e1d2c3b4a59687', lsn: 0x1_0000_0001 },
};

test('a superblock, byte by byte', () => {
  const bytes = encodeSuperblock(superblock);
  expect(bytes).toHaveLength(4096);
  expect(bytes.subarray(0, 200).toString('hex')).toBe(
    [
      '42574f5645524c32', // "BWOVERL2"
      '02000000', // version
      '00100000', // block size
      '0700000000000000', // sequence
      '0002000001000000', // bytes of the disk
      '0000200000000000', // bytes of the base
      superblock.base.digest,
      '03', // length of the base's name
      Buffer.from('web').toString('hex').padEnd(126, '0'),
      '22000000efbeadde', // root: place, CRC-32
      '0300000004000000', // blocks: data, zero
      '30000000feca0000', // table: place, CRC-32
      '0100000002000000', // table: places, rows
      '0200000003000000', // parent, next
      '4000000020000000', // journal: place, places
      'f0e1d2c3b4a59687', // salt
      '0100000001000000', // number of the first record
    ].join(''),
  );
  expect(bytes.subarray(200, 4092).every((byte) => byte === 0)).toBe(true);
  expect(bytes.readUInt32LE(4092)).toBe(crc32(bytes.subarray(0, 4092)));
  expect(decodeSuperblock(bytes)).toEqual(superblock);
});

test('a superblock that is not one tells why', () => {
  const bytes = encodeSuperblock(superblock);
  const spoilt = (change: (copy: Buffer) => void, seal = true): Buffer => {
    const copy = Buffer.from(bytes);
    change(copy);
    if (seal) copy.writeUInt32LE(crc32(copy.subarray(0, 4092)), 4092);
    return copy;
  };
  expect(() => decodeSuperblock(bytes.subarray(1))).toThrow('truncated: 4095 of 4096');
  expect(() => decodeSuperblock(spoilt((copy) => copy.fill(0)))).toThrow('wrong magic');
  expect(() => decodeSuperblock(spoilt((copy) => copy.writeUInt8(1, 99), false))).toThrow('wrong checksum');
  expect(() => decodeSuperblock(spoilt((copy) => copy.writeUInt8(3, 8)))).toThrow('version 3 is not known');
  expect(() => decodeSuperblock(spoilt((copy) => copy.writeUInt8(1, 12)))).toThrow('block size 4097');
  expect(() => decodeSuperblock(spoilt((copy) => copy.writeUInt8(255, 31)))).toThrow('says the disk has');
  expect(() => decodeSuperblock(spoilt((copy) => copy.writeUInt32LE(0, 176)))).toThrow('names no journal');
});

test('of two superblocks the newer valid one counts', () => {
  const older = encodeSuperblock(superblock);
  const newer = encodeSuperblock({ ...superblock, sequence: 8 });
  const bad = Buffer.from(newer).fill(1, 100, 101);
  expect(chooseSuperblock(older, newer)).toMatchObject({ copy: 1, superblock: { sequence: 8 }, faults: [] });
  expect(chooseSuperblock(newer, older)).toMatchObject({ copy: 0, superblock: { sequence: 8 } });
  expect(chooseSuperblock(older, bad)).toMatchObject({
    copy: 0,
    faults: ['copy 1: superblock has a wrong checksum'],
  });
  expect(() => chooseSuperblock(bad, bad)).toThrow(FormatError);
});

test('a generation, byte by byte', () => {
  const generation: Generation = {
    id: 5,
    parent: 4,
    time: 1_700_000_000_000,
    size: 8192,
    root: { place: 9, crc: 0x01020304 },
    blocks: { data: 1, zero: 2 },
    label: 'café',
  };
  const bytes = encodeTable([generation]);
  expect(bytes).toHaveLength(BLOCK_SIZE);
  expect(bytes.subarray(0, 128).toString('hex')).toBe(
    [
      '0500000004000000', // number, parent
      '0068e5cf8b010000', // milliseconds since 1970
      '0020000000000000', // bytes of the disk
      '0900000004030201', // root: place, CRC-32
      '0100000002000000', // blocks: data, zero
      '05', // bytes of the label
      Buffer.from('café').toString('hex').padEnd(126, '0'),
      '00'.repeat(24),
    ].join(''),
  );
  expect(decodeTable(bytes, 1)).toEqual([generation]);
  expect(() => decodeTable(bytes, 33)).toThrow('cannot have 33 rows');
  expect(() => decodeTable(bytes, 2)).toThrow('a generation of 0 bytes');
});

const SALT = '0011223344556677';

function record(changes: Change[], lsn: number, synced: number): Buffer {
  const length = changes.reduce((sum, { count, place }) => sum + changeSize(count, place), RECORD_HEAD);
  const bytes = Buffer.alloc(length);
  let at = RECORD_HEAD;
  for (const change of changes) at = putChange(bytes, at, change);
  sealRecord(bytes, { salt: SALT, lsn, synced });
  return bytes;
}

test('a record of the journal, byte by byte', () => {
  const changes: Change[] = [
    { block: 3, count: 2, place: 0x50, crcs: Uint32Array.of(0xaabbccdd, 1) },
    { block: 9, count: 4, place: 1, crcs: NO_CRCS },
  ];
  const bytes = record(changes, 0x1_0000_0002, 0x1_0000_0001);
  expect(bytes.toString('hex')).toBe(
    [
      '956b2c48', // CRC-32 of what follows
      '40000000', // 64 bytes
      SALT,
      '0200000001000000', // its number
      '0100000001000000', // durable up to this one
      '030000000200000050000000', // blocks 3 and 4 at places 80 and 81
      'ddccbbaa01000000', // their CRC-32
      '090000000400000001000000', // blocks 9 to 12: zeroes
    ].join(''),
  );
  expect(decodeRecord(bytes, 0, SALT, 0x1_0000_0002)).toMatchObject({
    lsn: 0x1_0000_0002,
    synced: 0x1_0000_0001,
    length: 64,
    changes,
  });
  const link = encodeLink(
    { salt: SALT, lsn: 9, synced: 8 },
    { place: 5, count: 6, salt: 'ff00ff00ff00ff00' },
  );
  expect(link.subarray(32).toString('hex')).toBe('ffffffff0600000005000000ff00ff00ff00ff00');
  expect(decodeRecord(link, 0, SALT, 9)?.link).toEqual({ place: 5, count: 6, salt: 'ff00ff00ff00ff00' });
});

test('what is not the record that must be there is none', () => {
  const change = fc.record({
    block: fc.nat(2 ** 30),
    place: fc.nat(2 ** 30),
    crcs: fc.array(fc.nat(2 ** 32 - 1), { minLength: 1, maxLength: 9 }),
  });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 5 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (found, spot, flip) => {
        const changes = found.map(({ block, place, crcs }) => ({
          block,
          place,
          count: crcs.length,
          crcs: place < 2 ? NO_CRCS : Uint32Array.from(crcs),
        }));
        const bytes = record(changes, 5, 4);
        expect(decodeRecord(bytes, 0, SALT, 5)).toMatchObject({ changes, link: undefined });
        expect(decodeRecord(bytes, 0, SALT, 6)).toBeUndefined();
        expect(decodeRecord(bytes, 0, 'ff'.repeat(8), 5)).toBeUndefined();
        expect(decodeRecord(bytes.subarray(0, -1), 0, SALT, 5)).toBeUndefined();
        bytes[spot % bytes.length]! ^= flip;
        expect(decodeRecord(bytes, 0, SALT, 5)).toBeUndefined();
      },
    ),
  );
});

test('levels of a map', () => {
  expect([1, 512, 513, 512 ** 2, 512 ** 2 + 1, 2 ** 30].map(levelCount)).toEqual([1, 1, 2, 2, 3, 4]);
});
