/** The pure parts of the UEFI stub: what they take of an imager's manifest and of SMBIOS tables, whatever those hold. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseUid, uidFromGuidBytes } from '../../agent/protocol/uid.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { manifest } from '../../imager/images/generated.ts';
import type { LinuxImage } from '../../imager/images/image.ts';

let folder: string;
let program: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'uefi-parts-'));
  program = join(folder, 'parts');
  const uefi = 'firmware-stubs/uefi';
  await promisify(execFile)('gcc', [
    ...['-std=c11', '-O1', '-Wall', '-Wextra', '-Werror'],
    ...['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-o', program],
    ...[`${uefi}/manifest.c`, 'firmware-stubs/smbios/identity.c', 'test/firmware/uefi-parts.c'].map(
      projectFile,
    ),
  ]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the program makes of each input. */
function inC<T>(kind: 'm' | 'i', inputs: readonly Uint8Array[], version = 0x0208): T[] {
  const records = inputs.map((bytes) => {
    const head = Buffer.alloc(7, kind);
    head.writeUInt32LE(bytes.length, 1);
    head.writeUInt16LE(version, 5);
    return Buffer.concat([head, bytes]);
  });
  const output = execFileSync(program, { input: Buffer.concat(records), maxBuffer: 1 << 26 });
  return output
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

/** Checks a property on many values with one run of the program. */
function samples<T>(arbitrary: fc.Arbitrary<T>): T[] {
  return fc.sample(arbitrary, { numRuns: 2000, seed: 5 });
}

// --- manifest.env ---

const file = { bytes: 1, sha256: '0'.repeat(64) };

test("the imager's own manifests", () => {
  const images = samples(
    fc.record({
      args: fc.string({ unit: fc.constantFrom(...'abc =.,:/-'), maxLength: 1024 }),
      dtb: fc.boolean(),
    }),
  ).map(
    ({ args, dtb }): LinuxImage => ({
      ...{ name: 'a', kind: 'linux', arch: 'amd64', args, added: '' },
      files: { kernel: file, initrd: file, ...(dtb ? { dtb: file } : {}) },
    }),
  );
  const read = inC(
    'm',
    images.map((image) => Buffer.from(manifest(image))),
  );
  expect(read).toEqual(images.map(({ args }) => ({ kernel: 'kernel', initrd: 'initrd', args })));
});

test.each([
  ['other keys are passed over, the last of one counts', 'x=1\nbw_kernel=a\nbw_initrd=b\nbw_kernel=c\n', 'c'],
  ['no line feed at the end', 'bw_initrd=b\nbw_kernel=c', 'c'],
  ['no kernel', 'bw_initrd=b\n', undefined],
  ['a path', 'bw_kernel=../c\nbw_initrd=b\n', undefined],
  ['a folder', 'bw_kernel=a/c\nbw_initrd=b\n', undefined],
  ['a hidden file', 'bw_kernel=.c\nbw_initrd=b\n', undefined],
  ['a name that is too long', `bw_kernel=${'c'.repeat(64)}\nbw_initrd=b\n`, undefined],
  ['the longest name', `bw_kernel=${'c'.repeat(63)}\nbw_initrd=b\n`, 'c'.repeat(63)],
  ['arguments that are too long', `bw_kernel=c\nbw_initrd=b\nbw_args=${'a'.repeat(1025)}\n`, undefined],
  ['a control character in the arguments', 'bw_kernel=c\nbw_initrd=b\nbw_args=a\tb\n', undefined],
  ['a carriage return', 'bw_kernel=c\r\nbw_initrd=b\r\n', undefined],
  ['a zero', 'bw_kernel=c\nbw_initrd=b\0\n', undefined],
  ['nothing', '', undefined],
])('%s', (_what, text, kernel) => {
  const [read] = inC<{ kernel: string } | null>('m', [Buffer.from(text)]);
  expect(read?.kernel).toBe(kernel);
});

test('any bytes: it takes nothing that is no file name', () => {
  const line = fc.oneof(
    fc.constantFrom('bw_kernel=k', 'bw_initrd=i', 'bw_args=', 'bw_kernel=', '\n'),
    fc.string({ unit: 'binary', maxLength: 80 }),
  );
  const texts = samples(fc.array(line, { maxLength: 12 })).map((parts) =>
    Buffer.from(parts.join('\n'), 'latin1'),
  );
  for (const read of inC<{ kernel: string; initrd: string } | null>('m', texts)) {
    if (read === null) continue;
    expect(read.kernel).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/);
    expect(read.initrd).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/);
  }
});

// --- SMBIOS ---

/** A structure as DSP0134 section 6.1 has it: type, length, handle, the rest, and its texts. */
function structure(type: number, rest: Uint8Array, texts: readonly string[]): Uint8Array {
  const strings = texts.length === 0 ? '\0\0' : `${texts.join('\0')}\0\0`;
  return Buffer.concat([Uint8Array.of(type, 4 + rest.length, 0, 1), rest, Buffer.from(strings, 'latin1')]);
}

/** Type 1 as from SMBIOS 2.4 on (section 7.2): manufacturer, product and version are texts 1 to 3, the serial number text 4. */
function system(uuid: Uint8Array, serial: string): Uint8Array {
  return structure(1, Buffer.concat([Uint8Array.of(1, 2, 3, 4), uuid, Uint8Array.of(6, 0, 0)]), [
    'm',
    'p',
    'v',
    serial,
  ]);
}

const bios = structure(0, new Uint8Array(20), ['SeaBIOS', '1.0']);
const end = structure(127, new Uint8Array(), []);
const table = (...parts: Uint8Array[]) => Buffer.concat([bios, ...parts, end]);
const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 });
const serial = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'AZaz09._:- /'), minLength: 1, maxLength: 70 }),
  fc.string({ unit: fc.constantFrom(...'aZ09-'), minLength: 1, maxLength: 20 }),
);

interface Identity {
  uid: string;
  uuid: string;
}

test('the UID is the one that the agent reads from the same tables', () => {
  const unset = fc.constantFrom(new Uint8Array(16), new Uint8Array(16).fill(0xff));
  const machines = samples(fc.record({ uuid: fc.oneof(uuid, unset), serial }));
  const read = inC<Identity>(
    'i',
    machines.map((machine) => table(system(machine.uuid, machine.serial))),
  );
  const expected = machines.map((machine) => {
    const uid = uidFromGuidBytes(machine.uuid);
    const bytes = uid === undefined ? new Uint8Array(16) : machine.uuid;
    return {
      uid: uid ?? parseUid(`serial:${machine.serial.trim()}`) ?? '',
      uuid: Buffer.from(bytes).toString('hex'),
    };
  });
  expect(read).toEqual(expected);
  expect(expected.filter(({ uid }) => uid.startsWith('serial:')).length).toBeGreaterThan(100);
});

test.each([
  // What Linux prints of these bytes (dmi_save_uuid, smbios_present): "%pUb" before 2.6, "%pUl" from then on.
  [0x0204, '11121314-1516-1718-191a-1b1c1d1e1f20'],
  [0x0205, '11121314-1516-1718-191a-1b1c1d1e1f20'],
  [0x021f, '11121314-1516-1718-191a-1b1c1d1e1f20'],
  [0x0221, '11121314-1516-1718-191a-1b1c1d1e1f20'],
  [0x0206, '14131211-1615-1817-191a-1b1c1d1e1f20'],
  [0x0233, '14131211-1615-1817-191a-1b1c1d1e1f20'],
  [0x0300, '14131211-1615-1817-191a-1b1c1d1e1f20'],
])('SMBIOS %x: the UUID as Linux shows it, which option 97 says too', (version, uid) => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i + 0x11);
  const [read] = inC<Identity>('i', [table(system(bytes, 'ab-12'))], version);
  expect(read?.uid).toBe(uid);
  expect(uidFromGuidBytes(Buffer.from(read!.uuid, 'hex'))).toBe(uid);
});

test.each([
  ['no type 1', table(), ''],
  [
    'type 1 of SMBIOS 2.0: no UUID',
    table(structure(1, Uint8Array.of(1, 2, 3, 1), ['ab-12'])),
    'serial:ab-12',
  ],
  ['no serial number', table(structure(1, Uint8Array.of(1, 2, 3, 0), ['ab-12'])), ''],
  ['a text that is not there', table(structure(1, Uint8Array.of(1, 2, 3, 3), ['ab-12'])), ''],
  ['nothing at all', new Uint8Array(), ''],
])('%s', (_what, bytes, uid) => {
  expect(inC<Identity>('i', [bytes])).toEqual([{ uid, uuid: '0'.repeat(32) }]);
});

test('tables that are cut or bent: nothing is read beyond their end', () => {
  const whole = table(
    system(
      Uint8Array.from({ length: 16 }, (_, i) => i + 0x11),
      'ab-12',
    ),
  );
  const bent = samples(
    fc.record({ cut: fc.nat(whole.length), at: fc.nat(whole.length - 1), to: fc.nat(255) }),
  ).map(({ cut, at, to }) => {
    const bytes = Uint8Array.from(whole);
    bytes[at] = to;
    return bytes.subarray(0, cut);
  });
  for (const { uid } of inC<Identity>('i', bent)) expect(uid === '' || parseUid(uid) === uid).toBe(true);
});
