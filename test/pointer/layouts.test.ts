/** Both byte layouts of the boot pointer: golden bytes, properties, and what a store does with them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeIpxeSlot, ipxeScript } from '../../agent/protocol/pointer/ipxe-script.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { type Eeprom, PointerStore, PointerStoreError } from '../../agent/protocol/pointer/store.ts';
import { encodeUbootSlot, ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { TornEeprom } from '../fakes/torn-eeprom.ts';
import { FIELDS, POINTER } from './stores.ts';

/** Offset of `:boot` in an iPXE script (firmware-stubs/ipxe). */
const BOOT_CODE = 0x1800;
const FACTORY = {
  'uboot-env': new Uint8Array(0x2000),
  'ipxe-script': readFileSync(resolve(import.meta.dirname, '../../firmware-stubs/ipxe/eeprom.ipxe')),
};

const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/);
const ip = fc.ipV4();
const anyPointer: fc.Arbitrary<Omit<BootPointer, 'sequence'>> = fc.record({
  image: name,
  disks: fc.array(name, { maxLength: 8 }),
  imagers: fc.array(ip, { minLength: 1, maxLength: 4 }),
  cluster: name,
  deployment: fc.stringMatching(/^[a-z0-9]{1,32}$/),
  phase: fc.constantFrom('deploy' as const, 'ready' as const),
  attempts: fc.nat(255),
  fallback: fc.oneof(fc.constant(''), name),
});

describe('golden bytes', () => {
  it('uboot-env: the block that mkenvimage makes of the same text', () => {
    const dir = mkdtempSync(join(tmpdir(), 'pointer-'));
    try {
      const text = [
        ...['bw_sequence=7', 'bw_image=alpha', 'bw_disks=root,data', 'bw_imagers=10.77.0.1,10.77.0.2'],
        ...['bw_cluster=one', 'bw_deployment=d1', 'bw_phase=deploy', 'bw_attempts=3', 'bw_fallback='],
      ].join('\n');
      writeFileSync(join(dir, 'env.txt'), `${text}\n`);
      const args = ['-s', '0x1000', '-p', '0x00', '-o', join(dir, 'env.bin'), join(dir, 'env.txt')];
      execFileSync('mkenvimage', args, { stdio: 'pipe' });
      expect(Buffer.from(encodeUbootSlot(POINTER))).toEqual(readFileSync(join(dir, 'env.bin')));
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('ipxe-script: the lines of firmware-stubs/ipxe/README.md', () => {
    const slot = Buffer.from(encodeIpxeSlot(1, POINTER));
    expect(slot.toString('latin1', 0, 0x19)).toMatch(/^:slot_1\n# crc32 [0-9a-f]{8}\n$/);
    expect(slot.toString('latin1', 0x19).split('\n')).toEqual([
      'set bw_sequence 7',
      'set bw_image alpha',
      'set bw_disks root,data',
      'set bw_imagers 10.77.0.1,10.77.0.2',
      'set bw_cluster one',
      'set bw_deployment d1',
      'set bw_phase deploy',
      'set bw_attempts 3',
      'set bw_fallback',
      'set bw_imager1 10.77.0.1',
      'set bw_imager2 10.77.0.2',
      'set bw_imager3',
      'set bw_imager4',
      'goto boot',
      expect.stringMatching(/^ +$/),
      '',
    ]);
    expect(slot.subarray(0x19)).toEqual(Buffer.from(encodeIpxeSlot(0, POINTER)).subarray(0x19));
    const image = new Uint8Array(FACTORY['ipxe-script']);
    for (const patch of ipxeScript.patches(image, 1, POINTER)) image.set(patch.bytes, patch.offset);
    expect(Buffer.from(image.subarray(0x200, 0x20e)).toString()).toBe('set bw_slot 1\n');
  });
});

it.each([
  ['uboot-env', ubootEnv],
  ['ipxe-script', ipxeScript],
] as const)('%s: what earlier versions wrote is read, and written again byte for byte', (name, layout) => {
  const image = new Uint8Array(
    readFileSync(resolve(import.meta.dirname, `../../fixtures/pointer/${name}.bin`)),
  );
  const second = { ...POINTER, sequence: 2, image: 'beta', phase: 'ready', fallback: 'beta' };
  expect(new PointerStore(layout, new TornEeprom(image)).read()).toEqual({
    slots: [
      { kind: 'valid', pointer: { ...POINTER, sequence: 1 } },
      { kind: 'valid', pointer: second },
    ],
    active: 1,
    pointer: second,
  });
  const again = new TornEeprom(FACTORY[name]);
  for (const fields of [FIELDS, { ...FIELDS, image: 'beta', phase: 'ready' as const, fallback: 'beta' }])
    new PointerStore(layout, again).write(fields);
  // What iPXE runs behind the slots is the stub's, and no earlier one's.
  if (layout === ipxeScript) image.set(FACTORY[name].subarray(BOOT_CODE), BOOT_CODE);
  expect(Buffer.from(again.bytes).equals(image)).toBe(true);
});

describe.each([
  { layout: ubootEnv, blank: FACTORY['uboot-env'] },
  { layout: ipxeScript, blank: FACTORY['ipxe-script'] },
])('$layout.name', ({ layout, blank }) => {
  const factory = () => new TornEeprom(blank);

  it('leaves the factory without a pointer', () => {
    const view = new PointerStore(layout, factory()).read();
    expect(view).toEqual({
      slots: [{ kind: 'empty' }, { kind: 'empty' }],
      active: undefined,
      pointer: undefined,
    });
  });

  it('reads what was written, and the slots take turns', () => {
    fc.assert(
      fc.property(fc.array(anyPointer, { minLength: 1, maxLength: 4 }), (pointers) => {
        const eeprom = factory();
        const store = new PointerStore(layout, eeprom);
        for (const pointer of pointers) {
          const before = store.read();
          const written = store.write(pointer);
          expect(written).toMatchObject(pointer);
          expect(store.read().pointer).toEqual(written);
          if (written.sequence !== before.pointer?.sequence)
            expect(store.read().active).not.toBe(before.active);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('writes nothing where the pointer is in force already', () => {
    const eeprom = factory();
    const store = new PointerStore(layout, eeprom);
    store.write(POINTER);
    const written = eeprom.written;
    expect(store.write({ ...POINTER }).sequence).toBe(1);
    expect(eeprom.written).toBe(written);
  });

  it('refuses a record with faults, and a chip that stores something else', () => {
    const eeprom = factory();
    expect(() => new PointerStore(layout, eeprom).write({ ...POINTER, image: '../x' })).toThrow(
      'image "../x" is not a name',
    );
    expect(eeprom.written).toBe(0);
    const stuck: Eeprom = { read: (offset, length) => eeprom.read(offset, length), write() {} };
    expect(() => new PointerStore(layout, stuck).write(POINTER)).toThrow(PointerStoreError);
  });

  it('counts a slot as the firmware does, even where its record is of no use', () => {
    const eeprom = factory();
    const store = new PointerStore(layout, eeprom);
    store.write(POINTER);
    const faulty = { ...POINTER, sequence: 50, image: 'Old_Image' };
    for (const patch of layout.patches(eeprom.bytes, 1, faulty)) eeprom.bytes.set(patch.bytes, patch.offset);
    const view = store.read();
    expect(view).toMatchObject({ active: 1, slots: [{ kind: 'valid' }, { kind: 'invalid', sequence: 50 }] });
    expect(view.pointer).toBeUndefined();
    expect(store.write({ ...POINTER, image: 'beta' }).sequence).toBe(51);
    expect(store.read()).toMatchObject({ active: 0, pointer: { image: 'beta' } });
  });

  it('a damaged slot is torn, never another record, and nothing throws on any content', () => {
    const eeprom = factory();
    const store = new PointerStore(layout, eeprom);
    const written = store.write(POINTER);
    const used = layout.patches(eeprom.bytes, 0, written)[0]!;
    fc.assert(
      fc.property(fc.nat(used.bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const image = eeprom.bytes.slice();
        image[used.offset + at]! ^= flip;
        expect(layout.read(image)[0].kind).toBe('torn');
        expect(new PointerStore(layout, new TornEeprom(image)).read().pointer).toBeUndefined();
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: layout.size, size: 'max' }), (bytes) => {
        for (const slot of layout.read(bytes)) expect(slot.kind).toBe('torn');
        layout.active(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: layout.size, maxLength: layout.size }), (bytes) => {
        const store = new PointerStore(layout, new TornEeprom(bytes));
        expect(store.read().pointer).toBeUndefined();
        expect(store.write(POINTER)).toMatchObject(FIELDS);
      }),
      { numRuns: 20 },
    );
  });
});
