/** Power cuts in the middle of a write of a local store: after each there is the former content or the new one. */
import { describe, expect, it, test } from 'vitest';
import type { LocalContent, LocalStore } from '../../agent/protocol/definition.ts';
import {
  LocalRefusedError,
  LocalStoreError,
  LocalUnverifiedError,
} from '../../agent/protocol/local-content.ts';
import { encodeLocalSlot } from '../../agent/protocol/local-slot.ts';
import { LocalSlots } from '../../agent/protocol/local-slots.ts';
import { PowerCut, TornEeprom } from '../fakes/torn-eeprom.ts';
import { definitionOf, longestDefinition, uuid } from './definitions.ts';

const SLOT = 1024;
const NOTHING: LocalContent = { definitions: [], current: null, target: null };
const read = (bytes: Uint8Array) => new LocalSlots(new TornEeprom(bytes), SLOT).read();
const text = (content: LocalContent) =>
  JSON.stringify(content, (_, value) => (value instanceof Uint8Array ? [...value] : value));

/** The bytes after all of `acts` on a blank chip. */
function holding(blank: number, ...acts: ((store: LocalStore) => void)[]): Uint8Array {
  const eeprom = new TornEeprom(new Uint8Array(2 * SLOT).fill(blank));
  for (const act of acts) act(new LocalSlots(eeprom, SLOT));
  return eeprom.bytes;
}

/** The chip where the power went after `cut` bytes of `act`; undefined where it did not go. */
function cutAfter(cut: number, bytes: Uint8Array, act: (store: LocalStore) => void): TornEeprom | undefined {
  const eeprom = new TornEeprom(bytes);
  eeprom.left = cut;
  try {
    act(new LocalSlots(eeprom, SLOT));
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(PowerCut);
    eeprom.left = Number.POSITIVE_INFINITY;
    return eeprom;
  }
}

const define =
  (cluster: number, version = 0) =>
  (store: LocalStore) =>
    store.define(definitionOf(cluster, version));
const erase = (cluster: number) => (store: LocalStore) => store.erase(uuid(cluster));
const point = (current: number, target: number | null) => (store: LocalStore) =>
  store.point({ current: uuid(current), target: target === null ? null : uuid(target) });

const CASES: [what: string, before: ((store: LocalStore) => void)[], act: (store: LocalStore) => void][] = [
  ['the first definition', [], define(1)],
  ['a second cluster', [define(1)], define(2)],
  ['a cluster defined again', [define(1), define(2)], define(1, 1)],
  ['one of two forgotten', [define(1), define(2), point(1, 2)], erase(1)],
  ['the last one forgotten', [define(1)], erase(1)],
  ['moved to another cluster', [define(1), define(2), point(1, 2)], point(2, null)],
];

describe.each([0, 0xff])('on a chip of bytes %i', (blank) => {
  it.each(CASES)('%s: cut after every single byte, and written again', (_what, before, act) => {
    const bytes = holding(blank, ...before);
    const [old, now] = [text(read(bytes)), text(read(holding(blank, ...before, act)))];
    expect(now).not.toBe(old);
    const seen = new Set<string>();
    let cut = 0;
    for (; ; cut++) {
      const eeprom = cutAfter(cut, bytes, act);
      if (eeprom === undefined) break;
      const found = text(read(eeprom.bytes));
      if (found !== old && found !== now) expect.fail(`cut after ${cut} bytes leaves ${found}`);
      seen.add(found);
      if (cut % 37 !== 0) continue;
      // Cut once more in the second try, and then done.
      const twice = cutAfter(cut >> 1, eeprom.bytes, act) ?? eeprom;
      expect([old, now]).toContain(text(read(twice.bytes)));
      act(new LocalSlots(twice, SLOT));
      expect(text(read(twice.bytes))).toBe(now);
    }
    expect(cut).toBeGreaterThan(30);
    expect(seen).toEqual(new Set([old, now]));
  });
});

test('no byte of a key stays behind when its definition is forgotten or replaced', () => {
  const bytes = holding(0, define(1), define(2));
  const keyOf = (cluster: number) => Buffer.from(definitionOf(cluster).key);
  for (const [act, gone, stays] of [
    [erase(1), 1, 2],
    [define(1, 1), 1, 2],
    // The last in its slot: nothing is written where it was.
    [erase(2), 2, 1],
  ] as const) {
    const eeprom = new TornEeprom(bytes);
    expect(Buffer.from(eeprom.bytes).includes(keyOf(gone))).toBe(true);
    act(new LocalSlots(eeprom, SLOT));
    expect(Buffer.from(eeprom.bytes).includes(keyOf(gone))).toBe(false);
    expect(Buffer.from(eeprom.bytes).includes(keyOf(stays))).toBe(true);
  }
});

test('a slot that goes bad loses nothing, and the next write makes it good', () => {
  const bytes = holding(0, define(1), define(2));
  for (const slot of [0, 1]) {
    const eeprom = new TornEeprom(bytes);
    eeprom.bytes[slot * SLOT + 100]! ^= 1;
    expect(text(read(eeprom.bytes))).toBe(text(read(bytes)));
    new LocalSlots(eeprom, SLOT).define(definitionOf(2));
    eeprom.bytes[(1 - slot) * SLOT + 100]! ^= 1;
    expect(text(read(eeprom.bytes))).toBe(text(read(bytes)));
  }
});

test('both bad: damaged, never nothing; it can be cleared', () => {
  const eeprom = new TornEeprom(holding(0, define(1)));
  for (const at of [100, SLOT + 100]) eeprom.bytes[at]! ^= 1;
  const store = new LocalSlots(eeprom, SLOT);
  for (const act of [
    () => store.read(),
    () => define(1)(store),
    () => erase(1)(store),
    () => point(1, null)(store),
  ])
    expect(act).toThrow(/^the local store is damaged: slot 0 is torn: CRC-32 is .*; slot 1 is torn: CRC-32 /);
  expect(() => store.read()).toThrow(LocalStoreError);
  store.clear();
  expect(store.read()).toEqual(NOTHING);
});

test('a sound slot with a right checksum around content with faults is said to be that', () => {
  const eeprom = new TornEeprom(new Uint8Array(2 * SLOT));
  const definitions = [{ ...definitionOf(1), name: 'a/b' }];
  eeprom.bytes.set(encodeLocalSlot({ definitions, current: null, target: null }, 1));
  expect(() => new LocalSlots(eeprom, SLOT).read()).toThrow(
    'damaged: slot 0 is invalid: node "a/b" is not a name',
  );
});

test('what does not fit is refused, and nothing is written', () => {
  const eeprom = new TornEeprom(
    holding(0, define(1), define(2), (store) => store.define(longestDefinition(3)), define(4)),
  );
  const refused = (act: (store: LocalStore) => void, why: RegExp) => {
    const before = eeprom.bytes.slice();
    expect(() => act(new LocalSlots(eeprom, SLOT))).toThrow(LocalRefusedError);
    expect(() => act(new LocalSlots(eeprom, SLOT))).toThrow(why);
    expect(eeprom.bytes).toEqual(before);
  };
  refused(define(5), /it keeps 4 clusters, and 5 were to be: erase one first/);
  refused((store) => store.define(longestDefinition(4)), /4 clusters take \d+ bytes, a slot here has 1024/);
  refused((store) => store.point({ current: uuid(9), target: null }), /current cluster .* is not defined/);
  refused(
    (store) => store.define({ ...definitionOf(1), key: new Uint8Array(31) }),
    /the key has 31 bytes, not 32/,
  );
});

test('a chip that does not keep what it was given is told of', () => {
  const eeprom = new TornEeprom(new Uint8Array(2 * SLOT));
  const write = eeprom.write.bind(eeprom);
  eeprom.write = (offset, bytes) => write(offset, bytes.with(40, 0x5a));
  expect(() => define(1)(new LocalSlots(eeprom, SLOT))).toThrow(LocalUnverifiedError);
  // Slot 0 goes bad each time slot 1 is written.
  eeprom.write = (offset, bytes) => {
    write(offset, bytes);
    if (offset === SLOT) eeprom.bytes[40]! ^= 1;
  };
  expect(() => define(1)(new LocalSlots(eeprom, SLOT))).toThrow('local store not verified: ');
});

test('what is there already is not written again', () => {
  const eeprom = new TornEeprom(holding(0, define(1), define(2)));
  const store = new LocalSlots(eeprom, SLOT);
  for (const act of [define(1), point(1, null), erase(3)]) act(store);
  expect(eeprom.written).toBe(0);
});
