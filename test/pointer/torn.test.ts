/** Power cuts in the middle of a write: after each there is the former pointer or the new one, on every store. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Slot, slotSequence } from '../../agent/protocol/pointer/layout.ts';
import { PointerStore } from '../../agent/protocol/pointer/store.ts';
import { PowerCut, TornEeprom } from '../fakes/torn-eeprom.ts';
import { ENV_SIZE, FIELDS, STORES } from './stores.ts';

const WANTED = { ...FIELDS, image: 'beta', deployment: 'd2', disks: ['other'] };

/** What writing `WANTED` on `bytes` leaves where the power goes after `cut` bytes; undefined where it did not go. */
function cutAfter(cut: number, bytes: Uint8Array, layout: PointerStore['layout']): TornEeprom | undefined {
  const eeprom = new TornEeprom(bytes);
  eeprom.left = cut;
  try {
    new PointerStore(layout, eeprom).write(WANTED);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(PowerCut);
    eeprom.left = Number.POSITIVE_INFINITY;
    return eeprom;
  }
}

describe.each(STORES)('$name', ({ layout, factory }) => {
  /** After so many pointers: in either slot, and beside an older one. */
  const holding = (count: number) => {
    const eeprom = new TornEeprom(factory);
    const store = new PointerStore(layout, eeprom);
    for (let i = 0; i < count; i++) store.write({ ...FIELDS, deployment: `before${i}` });
    return eeprom.bytes;
  };

  it.each([1, 2])('cut after every single byte of a write beside %i others', (count) => {
    const bytes = holding(count);
    const old = new PointerStore(layout, new TornEeprom(bytes)).read().pointer;
    let [cut, before, now] = [0, 0, 0];
    for (; ; cut++) {
      const eeprom = cutAfter(cut, bytes, layout);
      if (eeprom === undefined) break;
      const store = new PointerStore(layout, eeprom);
      const { pointer } = store.read();
      if (pointer?.deployment === old?.deployment) before += 1;
      else if (pointer?.deployment === 'd2' && pointer.image === 'beta') now += 1;
      else expect.fail(`cut after ${cut} bytes leaves ${JSON.stringify(store.read())}`);
      // What the cut left behind can be written to, and nothing else is lost by it.
      if (cut % 61 === 0) {
        expect(store.write(WANTED)).toMatchObject(WANTED);
        expect(store.read().pointer).toMatchObject(WANTED);
        if (layout.name === 'fw-env') {
          const taken = (layout.active(eeprom.bytes) ?? 0) * ENV_SIZE;
          expect(
            Buffer.from(eeprom.bytes.subarray(taken, taken + ENV_SIZE)).includes('\0ethaddr=52:54:'),
          ).toBe(true);
        }
      }
    }
    expect(cut).toBeGreaterThan(40);
    expect(before).toBeGreaterThan(0);
    expect(before + now).toBe(cut);
  });

  it('cut again in the next write, and again', () => {
    const start = holding(2);
    const old = new PointerStore(layout, new TornEeprom(start)).read().pointer;
    const known = [old?.deployment, 'd2'];
    for (let first = 0; ; first += 97) {
      const once = cutAfter(first, start, layout);
      if (once === undefined) break;
      for (let second = 0; ; second += 89) {
        const twice = cutAfter(second, once.bytes, layout);
        if (twice === undefined) break;
        const thrice = cutAfter(first, twice.bytes, layout) ?? twice;
        for (const { bytes } of [twice, thrice]) {
          const found = new PointerStore(layout, new TornEeprom(bytes)).read().pointer;
          if (!known.includes(found?.deployment))
            expect.fail(`cut at ${first}, ${second}: ${found?.deployment}`);
        }
      }
    }
  });

  it('the first pointer: none, or the new one', () => {
    for (let cut = 0; ; cut++) {
      const eeprom = cutAfter(cut, factory, layout);
      if (eeprom === undefined) break;
      const { pointer } = new PointerStore(layout, eeprom).read();
      if (pointer !== undefined) expect(pointer).toMatchObject(WANTED);
    }
  });

  it('any of the pieces of 16 bytes that were to be written are not: a drive orders its sectors as it likes', () => {
    const bytes = holding(2);
    const old = new PointerStore(layout, new TornEeprom(bytes)).read().pointer;
    const whole = new TornEeprom(bytes);
    new PointerStore(layout, whole).write(WANTED);
    // The write that decides comes after the others are durable: iPXE's digit, the former block's flag.
    const first = layout.patches(bytes, layout.active(bytes) === 0 ? 1 : 0, { ...WANTED, sequence: 9 })[0]!;
    const pieces = Math.ceil(first.bytes.length / 16);
    fc.assert(
      fc.property(fc.infiniteStream(fc.boolean()), (arrived) => {
        const mixed = bytes.slice();
        for (let piece = 0; piece < pieces; piece++) {
          const [from, to] = [
            first.offset + piece * 16,
            first.offset + Math.min(piece * 16 + 16, first.bytes.length),
          ];
          if (arrived.next().value) mixed.set(whole.bytes.subarray(from, to), from);
        }
        const found = new PointerStore(layout, new TornEeprom(mixed)).read().pointer;
        expect([old?.deployment, 'd2']).toContain(found?.deployment);
      }),
      { numRuns: 200 },
    );
  });

  it('a slot whose last piece is still the former one is found', () => {
    const bytes = holding(3);
    const store = new PointerStore(layout, new TornEeprom(bytes));
    const { active, slots } = store.read();
    const slot = layout.fixedSlot ?? (active === 0 ? 1 : 0);
    const sequence = (slotSequence(slots[active!]) ?? 0) + 1;
    const patch = layout
      .patches(bytes, slot, { ...WANTED, sequence })
      .at(layout.fixedSlot === undefined ? 0 : -1)!;
    // The last piece that differs at all: the end of most slots is padding.
    let end = patch.bytes.length;
    while (patch.bytes[end - 1] === bytes[patch.offset + end - 1]) end--;
    const half = bytes.slice();
    half.set(patch.bytes.subarray(0, end - 1), patch.offset);
    const found: Slot = layout.read(half)[slot];
    expect(found.kind).toBe('torn');
    expect(new PointerStore(layout, new TornEeprom(half)).read().pointer).toEqual(store.read().pointer);
  });
});
