import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  ENVIRONMENT_SIZE,
  environmentImage,
  identityVariables,
  parseEnvironment,
  writeFlash,
} from '../../firmware-stubs/rig/uboot-environment.ts';

const dir = mkdtempSync(join(tmpdir(), 'environment-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const STUB = readFileSync(resolve(import.meta.dirname, '../../firmware-stubs/uboot/boot.env'), 'utf8');

test('text to variables', () => {
  expect([...parseEnvironment('# comment\na=1\n\nb=one \\\ntwo=2\nc=\n')]).toEqual([
    ['a', '1'],
    ['b', 'one two=2'],
    ['c', ''],
  ]);
  expect(() => parseEnvironment('a=1\nnonsense\n')).toThrow('line 2');
  expect(() => parseEnvironment('a=1\\')).toThrow('backslash');
});

test('variables to bytes', () => {
  expect([...environmentImage(new Map([['a', 'b']]), 12)]).toEqual([
    ...[0x8f, 0x15, 0xeb, 0xf5], // CRC-32 of the rest, little-endian (zlib.crc32(b"a=b\0\0\0\0\0") in Python)
    ...[0x61, 0x3d, 0x62, 0x00], // "a=b", NUL
    ...[0x00, 0x00, 0x00, 0x00], // end of the list, padding
  ]);
  expect(() => environmentImage(new Map([['a', 'b'.repeat(6)]]), 12)).toThrow(RangeError);
  expect(() => environmentImage(new Map([['a', '\0']]), 12)).toThrow('NUL');
});

test("a board's own EEPROM is told to its Linux: bw_store alone names it", () => {
  const { bw_store: store, ...others } = Object.fromEntries(parseEnvironment(STUB));
  expect(store).toBe('uboot-env:/dev/vda');
  expect(others.bw_start).toMatch(/ bootwright\.pointer=\$\{bw_store\} /);
  expect(Object.values(others).join()).not.toContain('/dev/vda');
});

test("the stub's image is byte for byte mkenvimage's", () => {
  const variables = parseEnvironment(STUB);
  const text = join(dir, 'text');
  const image = join(dir, 'image');
  writeFileSync(text, [...variables].map(([name, value]) => `${name}=${value}\n`).join(''));
  execFileSync('mkenvimage', ['-p', '0', '-s', String(ENVIRONMENT_SIZE), '-o', image, text]);
  expect(Buffer.from(environmentImage(variables)).equals(readFileSync(image))).toBe(true);
});

test('the flash bank begins with the environment', async () => {
  const flash = join(dir, 'flash');
  await writeFlash(flash, new Map([['a', 'b']]));
  expect(statSync(flash).size).toBe(64 * 1024 * 1024);
  const start = readFileSync(flash).subarray(0, ENVIRONMENT_SIZE);
  expect(start.equals(environmentImage(new Map([['a', 'b']])))).toBe(true);
});

test('identity: a UUID is sent by DHCP too, a serial number cannot be', () => {
  const uuid = '0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001';
  expect([...identityVariables(uuid)]).toEqual([
    ['serial#', uuid],
    ['pxeuuid', '3a1c9d0f-0e5d-524a-9d3e-1b5b0a1f0001'],
  ]);
  expect([...identityVariables('serial:ab-12')]).toEqual([['serial#', 'ab-12']]);
});
