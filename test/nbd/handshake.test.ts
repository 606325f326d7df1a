/** Options and what they are answered with, as whole messages. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  answerAbort,
  answerExportName,
  answerInfo,
  answerList,
  answerRefusal,
  type ExportFacts,
  type Refused,
  transmissionFlags,
  wishOf,
} from '../../imager/nbd/handshake.ts';

const MAGIC = '0003e889045565a9';
const disk: ExportFacts = { size: 0x200000, readOnly: false, blockSize: 4096 };
const base: ExportFacts = { ...disk, readOnly: true };

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(''), 'hex');
const text = (words: string): string => Buffer.from(words).toString('hex');
const length = (words: string): string => words.length.toString(16).padStart(8, '0');
const option = (code: number, data: Buffer = Buffer.alloc(0), tooBig = false) => ({
  option: code,
  data,
  tooBig,
});
const goData = hex('00000002', text('n1'), '0001', '0001');

describe('what an option wishes', () => {
  test.each([
    ['EXPORT_NAME', option(1, Buffer.from('n1')), { kind: 'export-name', name: 'n1' }],
    ['EXPORT_NAME, default', option(1), { kind: 'export-name', name: '' }],
    ['ABORT', option(2), { kind: 'abort' }],
    ['LIST', option(3), { kind: 'list' }],
    ['INFO', option(6, goData), { kind: 'describe', name: 'n1', wanted: [1] }],
    ['GO', option(7, goData), { kind: 'go', name: 'n1', wanted: [1] }],
    ['EXPORT_NAME, no UTF-8', option(1, hex('ff')), { kind: 'refuse', error: 0x80000003 }],
    ['LIST with data', option(3, hex('00')), { kind: 'refuse', error: 0x80000003 }],
    ['GO, cut short', option(7, goData.subarray(0, 5)), { kind: 'refuse', error: 0x80000003 }],
    ['PEEK_EXPORT, withdrawn', option(4), { kind: 'refuse', error: 0x80000001 }],
    ['STARTTLS', option(5), { kind: 'refuse', error: 0x80000001 }],
    ['STRUCTURED_REPLY', option(8), { kind: 'refuse', error: 0x80000001 }],
    ['SET_META_CONTEXT', option(10), { kind: 'refuse', error: 0x80000001 }],
    ['unheard of', option(0xffffffff), { kind: 'refuse', error: 0x80000001 }],
    ['data too long', option(7, Buffer.alloc(0), true), { kind: 'refuse', error: 0x80000009 }],
  ])('%s', (_, given, wish) => {
    expect(wishOf(given)).toMatchObject(wish);
  });
});

test('transmission flags: flush, FUA, trim and zeroes where one may write; several connections where none does', () => {
  expect(transmissionFlags(disk)).toBe(0b0_0110_1101);
  expect(transmissionFlags(base)).toBe(0b1_0000_1111);
});

test('LIST: one reply an export, then the acknowledgement', () => {
  expect(answerList(['n1', 'n22'])).toEqual({
    bytes: hex(
      ...[MAGIC, '00000003', '00000002', '00000006', '00000002', text('n1')],
      ...[MAGIC, '00000003', '00000002', '00000007', '00000003', text('n22')],
      ...[MAGIC, '00000003', '00000001', '00000000'],
    ),
    next: 'options',
  });
});

test('GO: size and flags, block sizes, the name where it was asked for, then requests', () => {
  expect(answerInfo({ kind: 'go', name: 'n1', wanted: [1] }, disk)).toEqual({
    bytes: hex(
      ...[MAGIC, '00000007', '00000003', '0000000c', '0000', '0000000000200000', '006d'],
      ...[MAGIC, '00000007', '00000003', '0000000e', '0003', '00000001', '00001000', '02000000'],
      ...[MAGIC, '00000007', '00000003', '00000004', '0001', text('n1')],
      ...[MAGIC, '00000007', '00000001', '00000000'],
    ),
    next: 'transmission',
  });
});

test('INFO: the same, and haggling goes on', () => {
  const { bytes, next } = answerInfo({ kind: 'describe', name: 'base:b', wanted: [] }, base);
  expect(bytes.subarray(0, 32)).toEqual(
    hex(MAGIC, '00000006', '00000003', '0000000c', '0000', '0000000000200000', '010f'),
  );
  expect(next).toBe('options');
});

test.each<[Refused['refused'], string]>([
  ['unknown', '80000006'],
  ['busy', '80000002'],
  ['policy', '80000002'],
  ['failed', '80000004'],
  ['shutdown', '80000007'],
])('GO refused as %s: an error with its reason, and haggling goes on', (refused, code) => {
  const why = 'no disk "n3"; there is: n1';
  expect(answerInfo({ kind: 'go', name: 'n3', wanted: [] }, { refused, why })).toEqual({
    bytes: hex(MAGIC, '00000007', code, length(why), text(why)),
    next: 'options',
  });
});

test('EXPORT_NAME: no header, and no way to refuse but to hang up', () => {
  expect(answerExportName(disk, true)).toEqual({
    bytes: hex('0000000000200000', '006d'),
    next: 'transmission',
  });
  expect(answerExportName(disk, false).bytes).toHaveLength(134);
  expect(answerExportName({ refused: 'unknown', why: '' }, true)).toEqual({ bytes: hex(), next: 'close' });
  expect(answerRefusal(1, 0x80000003, 'bad name')).toEqual({ bytes: hex(), next: 'close' });
});

test('ABORT is acknowledged', () => {
  expect(answerAbort()).toEqual({ bytes: hex(MAGIC, '00000002', '00000001', '00000000'), next: 'close' });
});

test('any option is understood or refused, never thrown over', () => {
  const noise = fc.uint8Array({ maxLength: 64, size: 'max' });
  // A name's length that can be true: else noise is refused for it alone.
  const named = fc.tuple(fc.nat(70), noise).map(([length, rest]) => Uint8Array.of(0, 0, 0, length, ...rest));
  fc.assert(
    fc.property(fc.nat(12), fc.oneof(noise, named), (code, data) => {
      expect(wishOf(option(code, Buffer.from(data))).kind).toBeDefined();
    }),
  );
});
