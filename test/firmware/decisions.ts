/**
 * Boot pointers in every state that firmware may find, and what it is to do with each. Run here on decide.ts, and by the
 * test of each stub on real firmware: `storeOf` makes the bytes, `consoleLines` and `storeAfter` say what must come of them.
 */
import type { PointerLayout, SlotIndex } from '../../agent/protocol/pointer/layout.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { pointer } from './boot-lab.ts';

export interface DecisionCase {
  name: string;
  /** Records of slot 0 and slot 1. Undefined: it never held one. */
  slots: [BootPointer | undefined, BootPointer | undefined];
  /** Slots with a byte of their record changed. */
  torn?: SlotIndex[];
  expected: { error: string } | Booted;
}

interface Booted {
  slot: SlotIndex;
  /** The image that is booted, with what attempts found. */
  image: string;
  attempts: number;
  fallback?: boolean;
  /** What is in the other slot afterwards; absent: nothing is written. */
  counted?: BootPointer;
  uncounted?: string;
}

const NONE = 'no boot pointer in the EEPROM';
const LAST = 0xffff_ffff;
const alpha = (changes: Partial<BootPointer> = {}) => pointer({ image: 'alpha', ...changes });
const beta = (changes: Partial<BootPointer> = {}) => pointer({ image: 'beta', ...changes });
const deploy = (attempts: number, changes: Partial<BootPointer> = {}) =>
  alpha({ phase: 'deploy', attempts, fallback: 'beta', ...changes });

const ANY_LAYOUT: DecisionCase[] = [
  { name: 'both slots empty', slots: [undefined, undefined], expected: { error: NONE } },
  { name: 'slot 0 alone', slots: [alpha(), undefined], expected: { slot: 0, image: 'alpha', attempts: 3 } },
  { name: 'slot 1 alone', slots: [undefined, beta()], expected: { slot: 1, image: 'beta', attempts: 3 } },
  {
    name: 'the newer in slot 0',
    slots: [alpha({ sequence: 100 }), beta({ sequence: 99 })],
    expected: { slot: 0, image: 'alpha', attempts: 3 },
  },
  {
    name: 'the newer in slot 1',
    slots: [alpha({ sequence: 99 }), beta({ sequence: 100 })],
    expected: { slot: 1, image: 'beta', attempts: 3 },
  },
  {
    name: 'equal numbers: slot 0',
    slots: [alpha({ sequence: 7 }), beta({ sequence: 7 })],
    expected: { slot: 0, image: 'alpha', attempts: 3 },
  },
  {
    name: 'the newer is torn',
    slots: [alpha({ sequence: 7 }), beta({ sequence: 8 })],
    torn: [1],
    expected: { slot: 0, image: 'alpha', attempts: 3 },
  },
  {
    name: 'the older is torn',
    slots: [alpha({ sequence: 7 }), beta({ sequence: 8 })],
    torn: [0],
    expected: { slot: 1, image: 'beta', attempts: 3 },
  },
  { name: 'both are torn', slots: [alpha(), beta()], torn: [0, 1], expected: { error: NONE } },
  {
    name: 'one is torn, the other empty',
    slots: [alpha(), undefined],
    torn: [0],
    expected: { error: NONE },
  },
  {
    name: 'deploy, 3 attempts, in slot 0',
    slots: [deploy(3), undefined],
    expected: { slot: 0, image: 'alpha', attempts: 3, counted: deploy(2, { sequence: 8 }) },
  },
  {
    name: 'deploy, 3 attempts, in slot 1: the attempt replaces an older record',
    slots: [beta({ sequence: 9 }), deploy(3, { sequence: 10 })],
    expected: { slot: 1, image: 'alpha', attempts: 3, counted: deploy(2, { sequence: 11 }) },
  },
  {
    name: 'deploy, 3 attempts, no fallback, over a torn record',
    slots: [deploy(3, { fallback: '' }), beta()],
    torn: [1],
    expected: { slot: 0, image: 'alpha', attempts: 3, counted: deploy(2, { sequence: 8, fallback: '' }) },
  },
  {
    name: 'deploy, the last attempt',
    slots: [deploy(1, { sequence: 1999 }), deploy(2, { sequence: 1998 })],
    expected: { slot: 0, image: 'alpha', attempts: 1, counted: deploy(0, { sequence: 2000 }) },
  },
  {
    name: 'deploy, the last attempt, no fallback',
    slots: [undefined, deploy(1, { fallback: '' })],
    expected: { slot: 1, image: 'alpha', attempts: 1, counted: deploy(0, { sequence: 8, fallback: '' }) },
  },
  {
    name: 'deploy, 200 attempts, the number gets a digit more',
    slots: [undefined, deploy(200, { sequence: 999_999_999 })],
    expected: { slot: 1, image: 'alpha', attempts: 200, counted: deploy(199, { sequence: 1_000_000_000 }) },
  },
  {
    name: 'deploy, none left: the fallback image, nothing is written',
    slots: [deploy(0, { sequence: 8 }), deploy(1)],
    expected: { slot: 0, image: 'beta', attempts: 0, fallback: true },
  },
  {
    name: 'deploy, none left, no fallback: tries on, nothing is written',
    slots: [deploy(1, { fallback: '' }), deploy(0, { sequence: 8, fallback: '' })],
    expected: { slot: 1, image: 'alpha', attempts: 0 },
  },
  {
    name: 'ready with no attempts left and a fallback: boots its image',
    slots: [alpha({ attempts: 0, fallback: 'beta' }), undefined],
    expected: { slot: 0, image: 'alpha', attempts: 0 },
  },
  {
    name: 'the longest record there is',
    slots: [longest('deploy'), undefined],
    expected: {
      slot: 0,
      image: 'alpha',
      attempts: 255,
      counted: { ...longest('deploy'), sequence: 4_000_000_001, attempts: 254 },
    },
  },
];

/** Numbers are compared as they are, and 0xffffffff is the last one. */
const PLAIN_NUMBERS: DecisionCase[] = [
  {
    name: 'the largest number is newer than the smallest',
    slots: [alpha({ sequence: LAST }), beta({ sequence: 0 })],
    expected: { slot: 0, image: 'alpha', attempts: 3 },
  },
  {
    name: 'counted up to the last number',
    slots: [deploy(1, { sequence: LAST - 1 }), undefined],
    expected: { slot: 0, image: 'alpha', attempts: 1, counted: deploy(0, { sequence: LAST }) },
  },
  {
    name: 'no number is left: booted, and nothing is written',
    slots: [deploy(2, { sequence: LAST }), undefined],
    expected: { slot: 0, image: 'alpha', attempts: 2, uncounted: 'cannot count the attempt' },
  },
];

/** Serial number arithmetic (agent/protocol/pointer/sequence.ts). */
const WRAPPING_NUMBERS: DecisionCase[] = [
  {
    name: '0 is newer than the largest number',
    slots: [alpha({ sequence: LAST }), beta({ sequence: 0 })],
    expected: { slot: 1, image: 'beta', attempts: 3 },
  },
  {
    name: 'numbers 2^31 - 1 apart',
    slots: [alpha({ sequence: 5 }), beta({ sequence: 5 + 0x7fff_ffff })],
    expected: { slot: 1, image: 'beta', attempts: 3 },
  },
  {
    name: 'numbers just 2^31 apart decide nothing: slot 0',
    slots: [alpha({ sequence: 5 }), beta({ sequence: 5 + 0x8000_0000 })],
    expected: { slot: 0, image: 'alpha', attempts: 3 },
  },
  {
    name: 'counted from the largest number to 0',
    slots: [alpha({ sequence: LAST - 1 }), deploy(3, { sequence: LAST })],
    expected: { slot: 1, image: 'alpha', attempts: 3, counted: deploy(2, { sequence: 0 }) },
  },
];

/** All cases of a layout. */
export function decisionCases({ wraps }: PointerLayout): DecisionCase[] {
  return [...ANY_LAYOUT, ...(wraps ? WRAPPING_NUMBERS : PLAIN_NUMBERS)];
}

/** The store of a case: the bytes of both slots. */
export function storeOf(layout: PointerLayout, { slots, torn = [] }: DecisionCase): Uint8Array {
  const store = new Uint8Array(layout.size);
  for (const slot of [0, 1] as const) {
    const record = slots[slot];
    if (record === undefined) continue;
    const { offset, bytes } = layout.patches(store, slot, record)[0]!;
    store.set(bytes, offset);
    if (torn.includes(slot)) store[offset + 20]! ^= 1;
  }
  return store;
}

function longest(phase: 'deploy' | 'ready'): BootPointer {
  const name = (letter: string) => letter.repeat(63);
  return alpha({
    ...{ sequence: 4_000_000_000, phase, attempts: 255, deployment: 'd'.repeat(32) },
    ...{ disks: [...'abcdefgh'].map(name), cluster: name('c'), fallback: name('f') },
    imagers: ['10.77.0.1', '192.168.100.101', '192.168.100.102', '192.168.100.103'],
  });
}
