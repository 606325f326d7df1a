/** decide.ts over all cases, on every layout whose firmware can write. */
import { describe, expect, it } from 'vitest';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import type { PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import { LARGEST_SLOT, slotPair } from '../../agent/protocol/pointer/slot-pair.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { consoleLines, decide, storeAfter } from '../../firmware-stubs/simulated/decide.ts';
import { pointer } from './boot-lab.ts';
import { decisionCases, storeOf } from './decisions.ts';

const LAYOUTS: PointerLayout[] = [ubootEnv, eepromLayout(8192), slotPair('efivars', LARGEST_SLOT)];

describe.each(LAYOUTS)('layout $name', (layout) => {
  it.each(decisionCases(layout))('$name', (given) => {
    const store = storeOf(layout, given);
    const decision = decide(layout, store);
    const { expected } = given;
    if ('error' in expected) {
      expect(decision).toEqual(expected);
      expect(storeAfter(store, decision)).toEqual(store);
      return;
    }
    const { slot, image, attempts, fallback = false, counted } = expected;
    expect(decision).toMatchObject({ slot, image, attempts, fallback, pointer: given.slots[slot] });
    expect(decision).toHaveProperty('phase', given.slots[slot]!.phase);
    expect('uncounted' in decision ? decision.uncounted : undefined).toBe(expected.uncounted);

    const after = storeAfter(store, decision);
    if (counted === undefined) expect(after).toEqual(store);
    else {
      // Into the other slot: what was obeyed stays as it is, and is what a cut in the write leaves.
      const [first, second] = layout.read(after);
      const [obeyed, other] = slot === 0 ? [first, second] : [second, first];
      expect(obeyed).toEqual({ kind: 'valid', pointer: given.slots[slot] });
      expect(other).toEqual({ kind: 'valid', pointer: counted });
      expect(layout.active(after)).toBe(slot === 0 ? 1 : 0);
    }
  });

  it('boots its attempts, then the fallback, and writes nothing any more', () => {
    const three = decisionCases(layout).find(({ name }) => name.startsWith('deploy, 3 attempts, in slot 0'))!;
    let store = storeOf(layout, three);
    const booted: string[] = [];
    for (let boots = 0; boots < 5; boots++) {
      const decision = decide(layout, store);
      if ('error' in decision) throw new Error(decision.error);
      booted.push(`${decision.image} ${decision.attempts}`);
      store = storeAfter(store, decision);
    }
    expect(booted).toEqual(['alpha 3', 'alpha 2', 'alpha 1', 'beta 0', 'beta 0']);
  });

  it('a newer record with faults is obeyed by nobody', () => {
    const store = new Uint8Array(layout.size);
    const faulty = pointer({ image: 'NO NAME' });
    for (const { offset, bytes } of layout.patches(store, 1, faulty)) store.set(bytes, offset);
    expect(decide(layout, store)).toEqual({ error: 'the boot pointer in slot 1 is not usable' });
  });
});

it('says it as the real firmware does', () => {
  const lines = (name: string) => {
    const given = decisionCases(ubootEnv).find((one) => one.name.startsWith(name))!;
    return consoleLines(decide(ubootEnv, storeOf(ubootEnv, given)));
  };
  expect(lines('both are torn')).toEqual(['bootwright: firmware error no boot pointer in the EEPROM']);
  expect(lines('deploy, the last attempt')).toEqual([
    'bootwright: firmware pointer image=alpha slot=0 attempts=1',
    'bootwright: firmware load alpha',
  ]);
  expect(lines('deploy, none left: the fallback')).toEqual([
    'bootwright: firmware pointer image=alpha slot=0 attempts=0',
    'bootwright: firmware error no attempts left for alpha: fallback beta',
    'bootwright: firmware load beta',
  ]);
  expect(lines('no number is left')).toEqual([
    'bootwright: firmware pointer image=alpha slot=0 attempts=2',
    'bootwright: firmware load alpha',
    'bootwright: firmware error cannot count the attempt',
  ]);
});
