/** firmware-stubs/rig/uefi-variables.ts on the variables OVMF leaves the factory with. What OVMF reads of it: test/firmware/uefi.test.ts. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { POINTER_GUID } from '../../agent/protocol/pointer/efi-variables.ts';
import { UEFI_VARIABLES } from '../../firmware-stubs/rig/qemu.ts';
import { readVariable, withVariable } from '../../firmware-stubs/rig/uefi-variables.ts';

const FACTORY = new Uint8Array(readFileSync(UEFI_VARIABLES));
const bytes = (text: string) => new TextEncoder().encode(text);

test('a variable is read as it was written, the last one of its name', () => {
  expect(readVariable(FACTORY, 'One', POINTER_GUID)).toBeUndefined();
  let image = withVariable(FACTORY, 'One', POINTER_GUID, bytes('first'));
  image = withVariable(image, 'Two', POINTER_GUID, bytes('other'));
  image = withVariable(image, 'One', POINTER_GUID, bytes('second'));
  expect(readVariable(image, 'One', POINTER_GUID)).toEqual(bytes('second'));
  expect(readVariable(image, 'Two', POINTER_GUID)).toEqual(bytes('other'));
  expect(readVariable(image, 'Two', '8be4df61-93ca-11d2-aa0d-00e098032b8c')).toBeUndefined();
  expect(image.length).toBe(FACTORY.length);
});

test('the bytes of a variable', () => {
  const image = withVariable(FACTORY, 'A', POINTER_GUID, Uint8Array.of(1, 2, 3));
  const at = image.findIndex((byte, i) => byte !== FACTORY[i]);
  expect(at).toBe(0x48 + 0x1c);
  expect(Buffer.from(image.subarray(at, at + 0x3c + 4 + 3)).toString('hex')).toBe(
    [
      'aa55 3f 00 07000000', // start, state "added", attributes: kept, for boot services and the operating system
      '0000000000000000 00000000000000000000000000000000 00000000', // count, time, key
      '04000000 03000000', // bytes of the name and of the data
      'b77a9507 7d3a c14d b751 9123d6f42f29', // GUID
      '4100 0000 010203',
    ]
      .join('')
      .replaceAll(' ', ''),
  );
});

test('while a successor is written the former one counts', () => {
  const image = withVariable(FACTORY, 'One', POINTER_GUID, bytes('first'));
  image[0x48 + 0x1c + 2] = 0x3e;
  expect(readVariable(image, 'One', POINTER_GUID)).toEqual(bytes('first'));
});

test.each([
  ['before its state', { state: 0xff, nameSize: 4, dataSize: 3 }],
  ['before its sizes', { state: 0x7f, nameSize: 0xffffffff, dataSize: 0xffffffff }],
])('a header that was cut %s: the firmware goes on right behind it', (_, { state, nameSize, dataSize }) => {
  const cut = Buffer.from(withVariable(FACTORY, 'One', POINTER_GUID, bytes('first')));
  const first = 0x48 + 0x1c;
  cut.fill(0xff, first + 0x3c, first + 0x3c + 13);
  cut.writeUInt8(state, first + 2);
  cut.writeUInt32LE(nameSize, first + 0x24);
  cut.writeUInt32LE(dataSize, first + 0x28);
  expect(readVariable(cut, 'One', POINTER_GUID)).toBeUndefined();
  const image = withVariable(cut, 'One', POINTER_GUID, bytes('second'));
  expect(readVariable(image, 'One', POINTER_GUID)).toEqual(bytes('second'));
  expect(Buffer.from(image).readUInt16LE(first + 0x3c)).toBe(0x55aa);
});

test('what is no variable store, or is full, is told', () => {
  expect(() => readVariable(new Uint8Array(4096), 'One', POINTER_GUID)).toThrow(/no UEFI variable store/);
  expect(() => withVariable(FACTORY, 'One', POINTER_GUID, new Uint8Array(1 << 20))).toThrow(/no room/);
});
