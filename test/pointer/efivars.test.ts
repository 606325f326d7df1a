/** UEFI variables in a folder that stands for efivarfs: codecs, the pointer in two of them, boot options. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { openPointerStore } from '../../agent/linux/eeprom.ts';
import { readBootOrder, setBootNext, setBootOrder } from '../../agent/linux/efivars.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { encodeBinarySlot } from '../../agent/protocol/pointer/binary-slot.ts';
import {
  bootOptionName,
  bootOptionNumber,
  decodeBootNumbers,
  decodeBootOption,
  decodeVariable,
  encodeBootNumbers,
  encodeVariable,
  POINTER_GUID,
} from '../../agent/protocol/pointer/efi-variables.ts';
import { FIELDS, POINTER } from './stores.ts';

const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const host = new NodeHost();

/** A boot option as OVMF makes one: "UEFI Shell" and the shortest device path (its end). */
const SHELL = Buffer.from(
  [
    '01000000', // LOAD_OPTION_ACTIVE
    '0400', // device path of 4 bytes
    '550045004600490020005300680065006c006c000000', // "UEFI Shell"
    '7fff0400', // end of the device path
    '4eac0881119f594d850ee21a522c59b2', // data of the option's own
  ].join(''),
  'hex',
);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'efivars-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const put = (name: string, data: Uint8Array, attributes = 7) =>
  writeFileSync(join(dir, `${name}-${GLOBAL}`), encodeVariable(data, attributes));

describe('codecs', () => {
  test('a variable is its attributes, little-endian, and its data', () => {
    expect([...encodeVariable(Uint8Array.of(1, 2))]).toEqual([7, 0, 0, 0, 1, 2]);
    expect(decodeVariable(Uint8Array.of(6, 0, 0, 0x80, 9))).toEqual({
      attributes: 0x8000_0006,
      data: Uint8Array.of(9),
    });
    expect(() => decodeVariable(new Uint8Array(3))).toThrow('variable of 3 bytes');
  });

  test('numbers and names of boot options', () => {
    expect([...encodeBootNumbers([3, 0x100a])]).toEqual([3, 0, 0x0a, 0x10]);
    expect(decodeBootNumbers(Uint8Array.of(3, 0, 0x0a, 0x10))).toEqual([3, 0x100a]);
    expect(() => decodeBootNumbers(new Uint8Array(3))).toThrow('boot options in 3 bytes');
    expect(bootOptionName(0x100a)).toBe('Boot100A');
    expect(['Boot100A', 'Boot100a', 'BootOrder', 'Boot00000'].map(bootOptionNumber)).toEqual([
      0x100a,
      ...[undefined, undefined, undefined],
    ]);
  });

  test('a boot option, whole and at every length', () => {
    expect(decodeBootOption(SHELL)).toEqual({ active: true, description: 'UEFI Shell' });
    for (let length = 0; length < SHELL.length - 16; length++)
      expect(() => decodeBootOption(SHELL.subarray(0, length)), `${length} bytes`).toThrow(/^boot option /);
    expect(decodeBootOption(SHELL.subarray(0, -16)).description).toBe('UEFI Shell');
  });
});

describe('the boot pointer', () => {
  const open = () => openPointerStore(host, 'efivars', dir);
  const file = (slot: number) => join(dir, `BootPointer${slot}-${POINTER_GUID}`);

  it('is in two variables of our own that take turns; attributes and data are one file', () => {
    expect(open().read()).toMatchObject({ slots: [{ kind: 'empty' }, { kind: 'empty' }], active: undefined });
    open().write(FIELDS);
    expect(readdirSync(dir)).toEqual([`BootPointer0-${POINTER_GUID}`]);
    expect(new Uint8Array(readFileSync(file(0)))).toEqual(
      encodeVariable(encodeBinarySlot({ ...POINTER, sequence: 1 })),
    );
    const former = readFileSync(file(0));
    open().write({ ...FIELDS, image: 'beta', disks: [] });
    open().write({ ...FIELDS, image: 'gamma', disks: [] });
    // A shorter record leaves nothing of the longer one behind.
    expect(readFileSync(file(0)).length).toBeLessThan(former.length);
    expect(open().read()).toMatchObject({ active: 0, pointer: { image: 'gamma', sequence: 3 } });
  });

  it('a variable that lacks bytes is torn or empty, never a pointer', () => {
    open().write(FIELDS);
    const whole = readFileSync(file(0));
    for (let length = 4; length < whole.length; length++) {
      writeFileSync(file(0), whole.subarray(0, length));
      expect(open().read().pointer).toBeUndefined();
    }
  });

  it('a file without attributes, as a full firmware leaves it, is no variable: it hides no sound one', () => {
    open().write(FIELDS);
    for (let length = 0; length < 4; length++) {
      writeFileSync(file(1), new Uint8Array(length));
      expect(open().read()).toMatchObject({
        slots: [{ kind: 'valid' }, { kind: 'empty' }],
        ...{ active: 0, pointer: { image: FIELDS.image } },
      });
    }
    expect(open().write({ ...FIELDS, image: 'beta' })).toMatchObject({ image: 'beta' });
    expect(open().read()).toMatchObject({ active: 1, pointer: { image: 'beta' } });
  });

  it('cut after every byte of the new variable: the former one is in force', () => {
    open().write(FIELDS);
    open().write({ ...FIELDS, image: 'beta' });
    const whole = encodeVariable(encodeBinarySlot({ ...POINTER, sequence: 3, image: 'gamma' }));
    for (let length = 4; length < whole.length; length++) {
      writeFileSync(file(0), whole.subarray(0, length));
      expect(open().read().pointer, `${length} bytes`).toMatchObject({ image: 'beta' });
    }
    writeFileSync(file(0), whole);
    expect(open().read().pointer).toMatchObject({ image: 'gamma' });
  });

  it('is written where the kernel made the file immutable, which it stays', () => {
    open().write(FIELDS);
    open().write({ ...FIELDS, image: 'beta' });
    try {
      execFileSync('chattr', ['+i', file(0), file(1)], { stdio: 'pipe' });
    } catch {
      return; // No such flag on this file system; test/firmware/efi.test.ts has the kernel's own.
    }
    try {
      open().write({ ...FIELDS, image: 'gamma' });
      expect(open().read().pointer).toMatchObject({ image: 'gamma' });
      for (const slot of [0, 1]) expect(() => writeFileSync(file(slot), 'x')).toThrow('EPERM');
    } finally {
      execFileSync('chattr', ['-i', file(0), file(1)]);
    }
  });

  it('says what is missing where there is no efivarfs', () => {
    expect(() => openPointerStore(host, 'efivars', join(dir, 'none'))).toThrow(
      /no UEFI variables at .*none: this machine was booted by something else, or efivarfs is not mounted there/,
    );
  });

  it('says so where nothing is mounted on the folder that the kernel makes', () => {
    const folder = '/sys/firmware/efi/efivars';
    const empty = new NodeHost();
    empty.exists = (path) => path === folder;
    empty.list = () => [];
    expect(() => openPointerStore(empty, 'efivars', folder)).toThrow('efivarfs is not mounted there');
  });
});

describe('boot options', () => {
  beforeEach(() => {
    put('Boot0000', Buffer.concat([Uint8Array.of(0), SHELL.subarray(1)]));
    put('Boot000A', SHELL);
    put('BootCurrent', encodeBootNumbers([10]), 6);
    put('BootOrder', encodeBootNumbers([10, 0]));
    put('Boot0000Extra', SHELL);
    writeFileSync(join(dir, `Boot0007-${POINTER_GUID}`), encodeVariable(SHELL));
  });

  it('are read with their order', () => {
    expect(readBootOrder(host, dir)).toEqual({
      current: 10,
      next: undefined,
      order: [10, 0],
      options: [
        { number: 0, active: false, description: 'UEFI Shell' },
        { number: 10, active: true, description: 'UEFI Shell' },
      ],
    });
  });

  it('that are damaged are told, with the others; an order that is damaged is an error', () => {
    put('Boot0003', SHELL.subarray(0, 9));
    expect(readBootOrder(host, dir).options[1]).toEqual({
      number: 3,
      active: false,
      description: 'damaged: boot option whose description has no end',
    });
    put('BootOrder', new Uint8Array(3));
    expect(() => readBootOrder(host, dir)).toThrow(`${dir}/BootOrder-${GLOBAL}: boot options in 3 bytes`);
  });

  it('BootNext and BootOrder are set, and read back', () => {
    setBootNext(host, 0, dir);
    setBootOrder(host, [0, 10], dir);
    expect(readBootOrder(host, dir)).toMatchObject({ next: 0, order: [0, 10] });
    expect([...readFileSync(join(dir, `BootNext-${GLOBAL}`))]).toEqual([7, 0, 0, 0, 0, 0]);
  });

  it.each([0, 3])('a BootNext of %i bytes is none, and is set', (length) => {
    const path = join(dir, `BootNext-${GLOBAL}`);
    writeFileSync(path, new Uint8Array(length));
    expect(readBootOrder(host, dir)).toMatchObject({ next: undefined, order: [10, 0] });
    setBootNext(host, 0, dir);
    expect([...readFileSync(path)]).toEqual([7, 0, 0, 0, 0, 0]);
  });

  it('what is no option is refused, and nothing is written', () => {
    expect(() => setBootNext(host, 7, dir)).toThrow(
      'BootNext not written: there is no Boot0007; there are Boot0000, Boot000A',
    );
    expect(() => setBootOrder(host, [10, 10], dir)).toThrow('BootOrder not written: Boot000A is named twice');
    expect(readBootOrder(host, dir)).toMatchObject({ next: undefined, order: [10, 0] });
  });
});
