/** Which of two slots is in force: equal, wrapped, far apart and corrupt numbers, on every store. */
import { describe, expect, it, test } from 'vitest';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import { encodeBinarySlot } from '../../agent/protocol/pointer/binary-slot.ts';
import { encodeEnvBlock } from '../../agent/protocol/pointer/env-block.ts';
import { redundantFwEnv, singleFwEnv } from '../../agent/protocol/pointer/fw-env.ts';
import type { PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import { fieldsOf } from '../../agent/protocol/pointer/record.ts';
import { isNewer } from '../../agent/protocol/pointer/sequence.ts';
import { PointerRefusedError, PointerStore } from '../../agent/protocol/pointer/store.ts';
import { encodeUbootSlot, ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { TornEeprom } from '../fakes/torn-eeprom.ts';
import { ENV_SIZE, FIELDS, POINTER, RPI_STORE, VARIABLES } from './stores.ts';

const TOP = 0xffff_ffff;
const HALF = 0x8000_0000;

test.each([
  [1, 0, true],
  [0, 1, false],
  [5, 5, false],
  [0, TOP, true],
  [TOP, 0, false],
  [3, TOP - 3, true],
  [HALF - 1, 0, true],
  [HALF, 0, false],
  [0, HALF, false],
  [HALF + 1, 0, false],
])('RFC 1982: %i is newer than %i: %s', (b, a, newer) => {
  expect(isNewer(b, a)).toBe(newer);
});

type Number = number | 'corrupt' | 'empty';

/** Slot 0's number, slot 1's, which is in force, and the number of the next write. */
const SERIAL: [Number, Number, 0 | 1 | undefined, number][] = [
  [7, 8, 1, 9],
  [8, 7, 0, 9],
  [7, 7, 0, 8],
  [TOP, 0, 1, 1],
  [0, TOP, 0, 1],
  [TOP, TOP - 1, 0, 0],
  [TOP, 'corrupt', 0, 0],
  ['corrupt', TOP, 1, 0],
  [0, HALF, 0, 1],
  [HALF, 0, 0, HALF + 1],
  [2, TOP - 1, 0, 3],
  ['empty', 4, 1, 5],
  [4, 'empty', 0, 5],
  ['corrupt', 'corrupt', undefined, 1],
  ['corrupt', 'empty', undefined, 1],
  ['empty', 'empty', undefined, 1],
];

describe.each<[string, PointerLayout, Uint8Array]>([
  ['eeprom, efivars', eepromLayout(1024), new Uint8Array(1024)],
  ['rpi-eeprom', RPI_STORE.layout, RPI_STORE.factory],
])('%s: numbers that wrap', (_name, layout, factory) => {
  it.each(SERIAL)('%s and %s: slot %s, then %i', (first, second, active, next) => {
    const eeprom = new TornEeprom(factory);
    for (const [slot, number] of [first, second].entries()) {
      if (number === 'empty') continue;
      const sequence = number === 'corrupt' ? 99 : number;
      const pointer = { ...POINTER, sequence, deployment: `slot${slot}` };
      for (const patch of layout.patches(eeprom.bytes, slot as 0 | 1, pointer)) {
        eeprom.write(patch.offset, patch.bytes);
        const text = Buffer.from(eeprom.bytes.buffer).indexOf(`slot${slot}`);
        if (number === 'corrupt') eeprom.bytes[text]! ^= 1;
      }
    }
    const store = new PointerStore(layout, eeprom);
    expect(store.read()).toMatchObject({
      active,
      pointer: active === undefined ? undefined : { deployment: `slot${active}` },
    });
    expect(store.write({ ...FIELDS, deployment: 'new' }).sequence).toBe(next);
    expect(store.read()).toMatchObject({ active: active === 0 ? 1 : 0, pointer: { deployment: 'new' } });
  });
});

it('every store goes on for ever: over the wrap, each write is the one in force', () => {
  for (const layout of [eepromLayout(256), redundantFwEnv(ENV_SIZE, 'counter')]) {
    const eeprom = new TornEeprom(layout.name === 'eeprom' ? new Uint8Array(256) : environment(250));
    const store = new PointerStore(layout, eeprom);
    if (layout.name === 'eeprom') eeprom.write(0, encodeBinarySlot({ ...POINTER, sequence: TOP - 3 }));
    for (let i = 0; i < 600; i++) {
      store.write({ ...FIELDS, deployment: `d${i}` });
      if (store.read().pointer?.deployment !== `d${i}`) expect.fail(`write ${i} of ${layout.name}`);
    }
  }
});

function environment(flag: number | undefined): Uint8Array {
  const image = new Uint8Array(2 * ENV_SIZE);
  image.set(encodeEnvBlock({ variables: VARIABLES, flag }, ENV_SIZE));
  return image;
}

/** A copy of the environment by its flag byte, sound or not. */
type Copy = number | 'bad CRC' | 'erased';

describe('fw-env, redundant: as U-Boot takes them', () => {
  const block = (copy: Copy, deployment: string) => {
    if (copy === 'erased') return new Uint8Array(ENV_SIZE).fill(0xff);
    const variables = new Map(fieldsOf({ ...POINTER, deployment }));
    const bytes = encodeEnvBlock({ variables, flag: copy === 'bad CRC' ? 3 : copy }, ENV_SIZE);
    if (copy === 'bad CRC') bytes[100]! ^= 1;
    return bytes;
  };
  const storeOf = (scheme: 'counter' | 'boolean', first: Copy, second: Copy) => {
    const image = new Uint8Array(2 * ENV_SIZE);
    image.set(block(first, 'slot0'));
    image.set(block(second, 'slot1'), ENV_SIZE);
    const eeprom = new TornEeprom(image);
    return { eeprom, store: new PointerStore(redundantFwEnv(ENV_SIZE, scheme), eeprom) };
  };

  // Copies, the one in force, flag bytes after the next write.
  it.each<[Copy, Copy, 0 | 1, [number, number]]>([
    [1, 2, 1, [3, 2]],
    [2, 1, 0, [2, 3]],
    [255, 0, 1, [1, 0]],
    [0, 255, 0, [0, 1]],
    [254, 255, 1, [0, 255]],
    [255, 254, 0, [255, 0]],
    [5, 5, 0, [5, 6]],
    [255, 255, 0, [255, 0]],
    [254, 0, 0, [254, 255]],
    [1, 255, 1, [0, 255]],
    [7, 'bad CRC', 0, [7, 8]],
    ['bad CRC', 7, 1, [8, 7]],
    [255, 'erased', 0, [255, 0]],
    ['erased', 255, 1, [0, 255]],
  ])('counter %s and %s: copy %i', (first, second, active, flags) => {
    const { eeprom, store } = storeOf('counter', first, second);
    expect(store.read()).toMatchObject({ active, pointer: { deployment: `slot${active}` } });
    store.write({ ...FIELDS, deployment: 'new' });
    expect([eeprom.bytes[4], eeprom.bytes[ENV_SIZE + 4]]).toEqual(flags);
  });

  it('whatever the counters are, a write goes to the other copy and is in force after it', () => {
    for (let first = 0; first < 256; first++)
      for (const second of [first - 1, first, first + 1, 0, 1, 254, 255].map((flag) => flag & 0xff)) {
        const { store } = storeOf('counter', first, second);
        const { active } = store.read();
        store.write({ ...FIELDS, deployment: 'new' });
        const after = store.read();
        if (after.active === active || after.pointer?.deployment !== 'new')
          expect.fail(`${first} and ${second}`);
      }
  });

  // tools/env/fw_env.c, FLAG_BOOLEAN.
  it.each<[Copy, Copy, 0 | 1, [number, number]]>([
    [1, 0, 0, [0, 1]],
    [0, 1, 1, [1, 0]],
    [1, 1, 0, [0, 1]],
    [0, 0, 0, [0, 1]],
    [255, 1, 0, [0, 1]],
    [1, 255, 1, [1, 0]],
    [255, 0, 0, [0, 1]],
    [0, 255, 1, [1, 0]],
    [255, 255, 0, [0, 1]],
    [7, 9, 0, [0, 1]],
    ['bad CRC', 0, 1, [1, 0]],
    ['erased', 1, 1, [1, 0]],
  ])('boolean %s and %s: copy %i', (first, second, active, flags) => {
    const { eeprom, store } = storeOf('boolean', first, second);
    expect(store.read()).toMatchObject({ active, pointer: { deployment: `slot${active}` } });
    store.write({ ...FIELDS, deployment: 'new' });
    expect([eeprom.bytes[4], eeprom.bytes[ENV_SIZE + 4]]).toEqual(flags);
  });

  it.each<[Copy, Copy, RegExp]>([
    [
      'bad CRC',
      'bad CRC',
      /no copy of the environment is sound \(copy 0: CRC-32 is 0x\w{8}.*; copy 1: CRC-32/,
    ],
    ['bad CRC', 'erased', /no copy of the environment is sound.*copy 1: never written/],
    ['erased', 'erased', /there is no environment yet.*saveenv/],
  ])('%s and %s: nothing is written', (first, second, why) => {
    for (const scheme of ['counter', 'boolean'] as const) {
      const { eeprom, store } = storeOf(scheme, first, second);
      expect(store.read().pointer).toBeUndefined();
      expect(() => store.write(FIELDS)).toThrow(PointerRefusedError);
      expect(() => store.write(FIELDS)).toThrow(why);
      expect(eeprom.written).toBe(0);
    }
  });
});

describe('fw-env, single, and its spare copy', () => {
  const open = () => {
    const eeprom = new TornEeprom(environment(undefined));
    return { eeprom, store: new PointerStore(singleFwEnv(ENV_SIZE), eeprom) };
  };

  it('a damaged environment: the spare has the pointer, and the next write restores all variables from it', () => {
    const { eeprom, store } = open();
    store.write(FIELDS);
    eeprom.bytes.fill(0xff, 0, ENV_SIZE);
    expect(store.read()).toMatchObject({
      active: 1,
      slots: [{ kind: 'empty' }, { kind: 'valid' }],
      pointer: FIELDS,
    });
    store.write(FIELDS);
    expect(store.read()).toMatchObject({ active: 0, slots: [{ kind: 'valid' }, { kind: 'valid' }] });
    expect(Buffer.from(eeprom.bytes.subarray(0, ENV_SIZE)).includes('ethaddr=52:54:00:77:00:11\0')).toBe(
      true,
    );
  });

  it('both damaged: nothing is written', () => {
    const { eeprom, store } = open();
    store.write(FIELDS);
    const written = eeprom.written;
    eeprom.bytes[50]! ^= 1;
    eeprom.bytes[ENV_SIZE + 50]! ^= 1;
    expect(() => store.write(FIELDS)).toThrow(/no copy of the environment is sound/);
    expect(eeprom.written).toBe(written);
  });
});

test('uboot-env: a record with a number beyond 32 bits is what the script obeys, and no write can come after it', () => {
  const eeprom = new TornEeprom(new Uint8Array(0x2000));
  eeprom.write(0, encodeUbootSlot({ ...POINTER, sequence: 9_999_999_999 }));
  const store = new PointerStore(ubootEnv, eeprom);
  expect(store.read()).toMatchObject({
    active: 0,
    slots: [{ kind: 'invalid' }, { kind: 'empty' }],
    pointer: undefined,
  });
  expect(() => store.write(FIELDS)).toThrow(PointerRefusedError);
});

test('uboot-env: the larger number, as the script compares; none is left after 0xffffffff, and nothing is written then', () => {
  const eeprom = new TornEeprom(new Uint8Array(0x2000));
  eeprom.write(0, encodeUbootSlot({ ...POINTER, sequence: TOP }));
  eeprom.write(0x1000, encodeUbootSlot({ ...POINTER, sequence: 0, deployment: 'zero' }));
  const store = new PointerStore(ubootEnv, eeprom);
  expect(store.read()).toMatchObject({ active: 0 });
  expect(() => store.write({ ...FIELDS, image: 'beta' })).toThrow(
    'sequence 4294967296 is not an unsigned 32-bit',
  );
  expect(store.read().pointer).toMatchObject({ sequence: TOP });
});
