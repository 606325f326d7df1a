/** Local stores as binary slots, byte for byte. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Definition, LocalContent } from '../../agent/protocol/definition.ts';
import { decodeLocalSlot, encodeLocalSlot } from '../../agent/protocol/local-slot.ts';
import { LARGEST_LOCAL_SLOT, localSlotSize } from '../../agent/protocol/local-slots.ts';
import { definitionOf, longestDefinition, uuid } from './definitions.ts';

const ascii = (text: string) => [...Buffer.from(text)];
const CONTENT: LocalContent = {
  definitions: [{ ...definitionOf(1), number: 0x0102 }],
  current: uuid(1),
  target: null,
};

test('golden bytes', () => {
  const { key, signer } = definitionOf(1);
  const bytes = encodeLocalSlot(CONTENT, 7);
  expect([...bytes]).toEqual([
    ...ascii('BWL1'),
    ...[0xc6, 0xf9, 0x19, 0xbf], // CRC-32 of what follows, little-endian (Python's zlib.crc32)
    ...[0xc6, 0x00], // 198 bytes from here on, these two included
    0x01, // one definition
    0x01, // the first is current, none is target
    ...[0x07, 0x00, 0x00, 0x00], // sequence
    ...Buffer.from('5b0e7c2a91d44f6ea3b8000000001001', 'hex'), // id of the definition
    ...Buffer.from('5b0e7c2a91d44f6ea3b8000000000001', 'hex'), // id of the cluster
    ...[0x02, 0x01, 0x00, 0x00], // node number
    ...[4, ...ascii('lab1')],
    ...[5, ...ascii('node1')],
    ...[36, ...ascii('6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601')],
    ...[2, 10, 77, 0, 1, 10, 77, 0, 2], // imagers
    ...key,
    ...signer,
  ]);
  expect(decodeLocalSlot(bytes)).toEqual({ kind: 'valid', content: CONTENT, sequence: 7 });
});

test('four definitions of the longest names fit the largest slot, and two the smallest', () => {
  const content = (count: number): LocalContent => ({
    definitions: Array.from({ length: count }, (_, i) => longestDefinition(i + 1)),
    current: uuid(count),
    target: uuid(1),
  });
  expect(encodeLocalSlot(content(1), 0).length).toBe(16 + 349);
  expect(encodeLocalSlot(content(4), 0xffffffff).length).toBe(1412);
  expect(1412).toBeLessThan(LARGEST_LOCAL_SLOT);
  expect(encodeLocalSlot(content(2), 0).length).toBeLessThan(localSlotSize(2048)!);
  const all = { kind: 'valid', content: content(4), sequence: 0xffffffff };
  expect(decodeLocalSlot(encodeLocalSlot(content(4), 0xffffffff))).toEqual(all);
});

test.each([
  [0, undefined],
  [2047, undefined],
  [2048, 1024],
  [4095, 1024],
  [4096, 2048],
  [63_488, 2048],
])('%i bytes behind the pointer: slots of %s', (room, size) => {
  expect(localSlotSize(room)).toBe(size);
});

const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/);
const definition = fc.record({
  number: fc.integer({ min: 1, max: 0xffffffff }),
  name,
  cluster: name,
  uid: fc.oneof(fc.uuid(), fc.stringMatching(/^serial:[a-z0-9][a-z0-9._:-]{0,62}$/)),
  id: fc.uuid(),
  clusterId: fc.uuid(),
  imagers: fc.array(fc.ipV4(), { minLength: 1, maxLength: 4 }),
  key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  signer: fc.uint8Array({ minLength: 65, maxLength: 65 }),
});
const content = fc
  .tuple(
    fc.uniqueArray(definition, { maxLength: 4, selector: ({ clusterId }) => clusterId }),
    fc.nat(),
    fc.nat(),
  )
  .map(([found, current, target]): LocalContent => {
    const definitions = found.map(
      ({ cluster, clusterId, ...rest }): Definition => ({
        ...rest,
        cluster: { name: cluster, id: clusterId },
      }),
    );
    const at = (place: number) => definitions[place % (definitions.length + 1)]?.cluster.id ?? null;
    return { definitions, current: at(current), target: at(target) };
  });

test('reads what was written, whatever comes after it', () => {
  fc.assert(
    fc.property(content, fc.nat(0xffffffff), fc.uint8Array({ maxLength: 40 }), (all, sequence, rest) => {
      const bytes = Uint8Array.from([...encodeLocalSlot(all, sequence), ...rest]);
      expect(decodeLocalSlot(bytes)).toEqual({ kind: 'valid', content: all, sequence });
    }),
  );
});

test('every bit of a content counts', () => {
  const bytes = encodeLocalSlot(CONTENT, 7);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(decodeLocalSlot(flipped).kind, `bit ${bit}`).toBe(bit < 32 ? 'foreign' : 'torn');
  }
});

test('what never was a slot of ours is told from one whose first write was cut', () => {
  expect(decodeLocalSlot(new Uint8Array(1024))).toEqual({ kind: 'empty' });
  expect(decodeLocalSlot(new Uint8Array(1024).fill(0xff))).toEqual({ kind: 'empty' });
  for (const blank of [0, 0xff])
    for (let length = 1; length < 200; length++) {
      const bytes = new Uint8Array(1024).fill(blank);
      bytes.set(encodeLocalSlot(CONTENT, 1).subarray(0, length));
      expect(decodeLocalSlot(bytes).kind, `${length} bytes`).toBe('torn');
    }
  const fru = new Uint8Array(1024).fill(0xff);
  fru.set(ascii('BWFRU 4711'));
  expect(decodeLocalSlot(fru).kind).toBe('foreign');
});

test('content with faults says which, without a byte of the key', () => {
  const faultsOf = (all: LocalContent) => {
    const found = decodeLocalSlot(encodeLocalSlot(all, 3));
    expect(found).toMatchObject({ kind: 'invalid', sequence: 3 });
    return found.kind === 'invalid' ? found.faults.join('; ') : '';
  };
  const [only] = CONTENT.definitions as [Definition];
  expect(faultsOf({ ...CONTENT, definitions: [{ ...only, name: 'a/b' }] })).toBe('node "a/b" is not a name');
  expect(faultsOf({ ...CONTENT, definitions: [only, only] })).toBe(
    `two definitions are of cluster ${only.cluster.id}`,
  );
  expect(faultsOf({ ...CONTENT, definitions: [{ ...only, imagers: [] }] })).toBe(
    'between 1 and 4 imagers are needed',
  );
  expect(
    faultsOf({ ...CONTENT, definitions: Array.from({ length: 5 }, (_, i) => definitionOf(i + 1)) }),
  ).toBe('5 definitions, at most 4 fit');
});
