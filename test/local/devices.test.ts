/** Local stores behind the boot pointer of each kind of store, on files that stand for devices. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { openPointerStore, storeFault } from '../../agent/linux/eeprom.ts';
import { openLocalStore } from '../../agent/linux/local-store.ts';
import { decodeVariable, POINTER_GUID } from '../../agent/protocol/pointer/efi-variables.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { FIELDS } from '../pointer/stores.ts';
import { definitionOf, longestDefinition, uuid } from './definitions.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'local-devices-'));
  path = join(dir, 'device');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Says what was written. */
class DeviceHost extends QuietHost {
  readonly writes: { offset: number; length: number }[] = [];
  override writeStored(device: string, offset: number, bytes: Uint8Array) {
    this.writes.push({ offset, length: bytes.length });
    super.writeStored(device, offset, bytes);
  }
}

const open = (layout: string, host = new DeviceHost(), tell?: (why: string) => void) =>
  openLocalStore(host, { layout, device: path }, tell);
function why(layout: string): string {
  let told = '';
  const found = open(layout, new DeviceHost(), (text) => {
    told = text;
  });
  expect(found).toBeUndefined();
  return told;
}

const BLANK: Record<string, () => Uint8Array> = {
  'uboot-env': () => new Uint8Array(16_384),
  'ipxe-script': () => {
    const bytes = new Uint8Array(16_384);
    bytes.set(readFileSync(projectFile('firmware-stubs/ipxe/eeprom.ipxe')));
    return bytes;
  },
  eeprom: () => new Uint8Array(32_768).fill(0xff),
};

describe.each(Object.keys(BLANK))('%s', (kind) => {
  beforeEach(() => writeFileSync(path, BLANK[kind]!()));

  it('keeps four definitions, the pointer as it is; and the pointer leaves them alone', () => {
    const pointers = () => openPointerStore(new DeviceHost(), kind, path);
    pointers().write(FIELDS);
    const pointer = pointers().read();
    for (const cluster of [1, 2, 3, 4]) open(kind)!.define(longestDefinition(cluster));
    open(kind)!.point({ current: uuid(4), target: uuid(2) });
    expect(pointers().read()).toEqual(pointer);
    expect(storeFault(new DeviceHost(), pointers(), path)).toBeUndefined();
    for (const image of ['beta', 'gamma', 'delta']) pointers().write({ ...FIELDS, image });
    expect(pointers().stubFault()).toBeUndefined();
    expect(open(kind)!.read()).toEqual({
      definitions: [1, 2, 3, 4].map(longestDefinition),
      current: uuid(4),
      target: uuid(2),
    });
  });
});

test.each([
  [256, 256],
  [2048, 2048],
])('a chip of %i bytes has no room, and says so', (size, pointer) => {
  writeFileSync(path, new Uint8Array(size));
  expect(why('eeprom')).toBe(
    `${path} has ${size} bytes, the boot pointer takes ${pointer}: no room for a local store`,
  );
});

test.each([
  [4096, 1024, 32],
  [8192, 2048, 32],
  [32_768, 2048, 64],
  [65_536, 2048, 128],
])(
  'a chip of %i bytes: slots of %i behind the pointer, no write crosses a page of %i',
  (size, slot, page) => {
    writeFileSync(path, new Uint8Array(size).fill(0xff));
    const host = new DeviceHost();
    const store = open('eeprom', host)!;
    store.define(definitionOf(1));
    store.define(longestDefinition(2));
    expect(Math.min(...host.writes.map(({ offset }) => offset))).toBe(2048);
    expect(Math.max(...host.writes.map(({ offset, length }) => offset + length))).toBeLessThanOrEqual(
      2048 + 2 * slot,
    );
    for (const { offset, length } of host.writes)
      expect(Math.floor(offset / page)).toBe(Math.floor((offset + length - 1) / page));
    expect(readFileSync(path).toString('latin1', 2048 + slot, 2048 + slot + 4)).toBe('BWL1');
    if (slot === 1024)
      expect(() => {
        for (const cluster of [3, 4]) open('eeprom')!.define(longestDefinition(cluster));
      }).toThrow('a slot here has 1024');
  },
);

test.each([
  ['EEPROMs of the first rigs have', 8192],
  ['a shorter file has not even', 5000],
  ['an empty one has not even', 0],
])('%s the boot pointer alone', (_, size) => {
  writeFileSync(path, new Uint8Array(size));
  expect(why('uboot-env')).toBe(
    `${path} has ${size} bytes, the boot pointer takes 8192: no room for a local store`,
  );
});

test('what is larger is a disk, and is left alone', () => {
  writeFileSync(path, new Uint8Array(16_385));
  expect(why('uboot-env')).toBe(`${path} is larger than an EEPROM of 16384 bytes: it is left alone`);
});

test.each([0, 2048])('what a board keeps in its chip, at byte %i behind the pointer, is left alone', (at) => {
  const bytes = new Uint8Array(32_768).fill(0xff);
  bytes.set(Buffer.from('board serial 4711'), 2048 + at);
  writeFileSync(path, bytes);
  expect(why('eeprom')).toMatch(/holds something else where a local store would be \(slot begins "boar"/);
  expect(readFileSync(path)).toEqual(Buffer.from(bytes));
});

test.each(['fw-env', 'rpi-eeprom'])('none is kept in %s', (kind) => {
  expect(why(kind)).toBe(`no local store is kept in ${kind}`);
});

test('a store whose kind is unknown is an error', () => {
  expect(() => open('spi')).toThrow('pointer store "spi" is unknown');
});

test('two UEFI variables of our own, beside the boot pointer', () => {
  const efivars = () => openLocalStore(new QuietHost(), { layout: 'efivars', device: dir })!;
  const pointers = openPointerStore(new QuietHost(), 'efivars', dir);
  pointers.write(FIELDS);
  const pointer = pointers.read();
  expect(efivars().read().definitions).toEqual([]);
  for (const cluster of [1, 2]) efivars().define(definitionOf(cluster));
  efivars().erase(uuid(2));
  expect(readdirSync(dir)).toEqual([
    ...[0, 1].map((slot) => `BootLocal${slot}-${POINTER_GUID}`),
    `BootPointer0-${POINTER_GUID}`,
  ]);
  expect(pointers.read()).toEqual(pointer);
  expect(efivars().read()).toEqual({ definitions: [definitionOf(1)], current: uuid(1), target: null });
  const files = [0, 1].map((slot) => readFileSync(join(dir, `BootLocal${slot}-${POINTER_GUID}`)));
  for (const file of files) {
    expect(decodeVariable(file).attributes).toBe(7);
    expect(file.includes(Buffer.from(definitionOf(2).key))).toBe(false);
  }
  // One variable that was lost on the way: the other has it.
  rmSync(join(dir, `BootLocal0-${POINTER_GUID}`));
  expect(efivars().read().definitions).toEqual([definitionOf(1)]);
  expect(existsSync(join(dir, `BootLocal0-${POINTER_GUID}`))).toBe(false);
});
