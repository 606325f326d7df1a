import { expect, test } from 'vitest';
import { KernelError } from '../../../imager/images/bzimage.ts';
import { inspectedLines, inspect as inspectHead } from '../../../imager/images/inspect.ts';
import { decodeHeader, encodeHeader } from '../../../imager/images/nbi/header.ts';
import { faults, place } from '../../../imager/images/nbi/layout.ts';
import { FIRST_STAGE } from '../../../imager/images/nbi/programs.ts';
import { asKernel, wholeNbi } from '../../support/kernels.ts';

const kernel = asKernel('amd64', Buffer.alloc(10_000, 'k'));
const initrd = Buffer.from('an initrd');
const inspect = (file: Uint8Array) => inspectHead(file, file.length);
const nbi = wholeNbi({ kernel, initrd, args: 'console=ttyS0' });

test('kernel, initrd and command line are where the setup header says, and nothing overlaps', () => {
  const header = decodeHeader(nbi);
  expect(faults(header, nbi.length, 128 << 20)).toEqual([]);
  const [setup, commandLine, first, body, ramdisk] = place(header).map(({ fileOffset, start }, index) => ({
    start,
    bytes: Buffer.from(nbi.subarray(fileOffset, fileOffset + header.segments[index]!.fileBytes)),
  }));
  expect(setup!.start).toBe(0x10000);
  expect(setup!.bytes).toHaveLength(2560);
  expect(setup!.bytes[0x210]).toBe(0xff);
  expect(setup!.bytes[0x211]).toBe(0x81);
  expect(setup!.bytes.readUInt16LE(0x224)).toBe(0xde00);
  expect(setup!.bytes.readUInt32LE(0x228)).toBe(commandLine!.start);
  expect(setup!.bytes.readUInt32LE(0x218)).toBe(ramdisk!.start);
  expect(setup!.bytes.readUInt32LE(0x21c)).toBe(initrd.length);
  expect(commandLine!.bytes.toString()).toBe('console=ttyS0\0');
  expect(header.segments[1]!.memoryBytes).toBe(2048);
  expect([first!.start, first!.bytes]).toEqual([0x1f000, Buffer.from(FIRST_STAGE)]);
  expect(header.entry).toEqual({ segment: 0x1f00, offset: 0 });
  expect([body!.start, body!.bytes]).toEqual([0x100000, kernel.subarray(2560)]);
  // Behind what the kernel unpacks itself into: pref_address + init_size.
  expect([ramdisk!.start, ramdisk!.bytes]).toEqual([0x3000000, initrd]);
  expect(kernel[0x210]).toBe('k'.charCodeAt(0));
});

const spoilt = (change: (kernel: Buffer) => void) => {
  const copy = Buffer.from(kernel);
  change(copy);
  return copy;
};

test.each<[string, Buffer, string, RegExp]>([
  ['no kernel', Buffer.from('text'), '', /no HdrS/],
  ['header cut short', kernel.subarray(0, 0x250), '', /ends within its header/],
  ['old protocol', spoilt((k) => k.writeUInt16LE(0x209, 0x206)), '', /boot protocol 2\.9; 2\.10/],
  ['zImage', spoilt((k) => k.fill(0, 0x211, 0x212)), '', /zImage/],
  ['nothing but setup code', kernel.subarray(0, 2560), '', /setup code of 2560 bytes/],
  ['more setup code than there is room', spoilt((k) => k.fill(127, 0x1f1, 0x1f2)), '', /setup code of 65536/],
  ['too many arguments', kernel, 'x'.repeat(1792), /1792 characters, at most 1790/],
  ['arguments that are not ASCII', kernel, 'café', /printable ASCII/],
  ['arguments with a NUL', kernel, 'a\0b', /printable ASCII/],
  ['a kernel with a short command line', spoilt((k) => k.writeUInt32LE(255, 0x238)), '', /at most/],
  ['an initrd too high', spoilt((k) => k.writeUInt32LE(0x3000000, 0x22c)), '', /would end above/],
])('refused: %s', (_, bytes, args, message) => {
  expect(() => wholeNbi({ kernel: bytes, initrd, args })).toThrow(KernelError);
  expect(() => wholeNbi({ kernel: bytes, initrd, args })).toThrow(message);
});

test('every field is in words', () => {
  const found = inspect(nbi);
  expect(found).toMatchObject({ format: 'nbi', words: 'a tagged network boot image', faults: [] });
  expect(found.nbi).toMatchObject({ entry: { segment: 0x1f00, offset: 0 }, returns: false });
  expect(found.nbi?.segments.at(-1)).toEqual({
    purpose: 'initrd',
    ...{ tag: 4, placement: 'absolute', address: 0x3000000, start: 0x3000000, memoryBytes: 9 },
    ...{ fileOffset: nbi.length - 9, fileBytes: 9, vendor: '' },
  });
  const lines = inspectedLines(found);
  expect(lines[0]).toEqual([
    ['magic', '0x1b031336'],
    ['header at', '1f00:0e00 (0x1fe00)'],
    ['execute at', '1f00:0000 (0x1f000)'],
    ['may return', 'no'],
    ['vendor data', '"bootwright"'],
    ['nbi.0', 'can load it'],
    ['segments', '5'],
  ]);
  expect(lines[5]).toEqual([
    ['segment', '5, initrd'],
    ['tag', '4'],
    ['load address', '0x3000000, absolute'],
    ['in memory', '9 bytes from 0x3000000'],
    ['in the file', `9 bytes from 0x${(nbi.length - 9).toString(16)}`],
    ['vendor data', 'none'],
    ['last', 'yes'],
  ]);
  expect(inspect(nbi.subarray(0, nbi.length - 1)).faults).toEqual([
    `the file is cut short: ${nbi.length - 1} of ${nbi.length} bytes`,
  ]);
  expect(inspectedLines(inspect(kernel))[0]?.[1]).toEqual(['setup code', '2560 bytes']);
});

test('the fields of images of others', () => {
  const header = encodeHeader({
    location: { segment: 0x7c0, offset: 0 },
    entry: 0x100000,
    returns: true,
    vendor: new Uint8Array([1, 2, 3, 4]),
    segments: [
      {
        ...{ tag: 4, placement: 'below the end of memory', address: 0x1000 },
        ...{ fileBytes: 0, memoryBytes: 0x1000, vendor: new Uint8Array() },
      },
    ],
  });
  const [first, second] = inspectedLines(inspect(header));
  expect(first).toContainEqual(['execute at', '0x100000, a 32-bit program']);
  expect(first).toContainEqual(['vendor data', '01020304']);
  expect(first).toContainEqual([
    'nbi.0',
    "cannot load it: the header begins at 0x7c00: memory below 0x10000 is nbi.0's own",
  ]);
  expect(second).toContainEqual(['segment', '1']);
  expect(second).toContainEqual(['in memory', '4096 bytes from where depends on the machine']);
});
