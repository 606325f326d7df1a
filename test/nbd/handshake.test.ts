/** Options and what they are answered with, as whole messages. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  answerAbort,
  answerContexts,
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
const metaData = hex('00000002', text('n1'), '00000002', '00000005', text('base:'), '00000003', text('x:y'));
const goData = hex('00000002', text('n1'), '0001', '0001');

const PLAIN = { tls: 'off', secure: false, structured: false } as const;

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
    ['STARTTLS, not configured', option(5), { kind: 'refuse', error: 0x80000002 }],
    ['STRUCTURED_REPLY', option(8), { kind: 'structured' }],
    ['STRUCTURED_REPLY with data', option(8, hex('00')), { kind: 'refuse', error: 0x80000003 }],
    [
      'LIST_META_CONTEXT before structured replies',
      option(9, metaData),
      { kind: 'refuse', error: 0x80000003 },
    ],
    [
      'SET_META_CONTEXT before structured replies',
      option(10, metaData),
      { kind: 'refuse', error: 0x80000003 },
    ],
    ['EXTENDED_HEADERS', option(11), { kind: 'refuse', error: 0x80000001 }],
    ['unheard of', option(0xffffffff), { kind: 'refuse', error: 0x80000001 }],
    ['data too long', option(7, Buffer.alloc(0), true), { kind: 'refuse', error: 0x80000009 }],
  ])('%s', (_, given, wish) => {
    expect(wishOf(given, PLAIN)).toMatchObject(wish);
  });
});

test('metadata contexts, once replies are structured', () => {
  const situation = { ...PLAIN, structured: true };
  expect(wishOf(option(9, metaData), situation)).toEqual({
    kind: 'list-contexts',
    name: 'n1',
    queries: ['base:', 'x:y'],
  });
  expect(wishOf(option(10, metaData), situation)).toMatchObject({ kind: 'set-contexts', name: 'n1' });
  for (let length = 0; length < metaData.length; length++)
    expect(wishOf(option(10, metaData.subarray(0, length)), situation)).toMatchObject({ error: 0x80000003 });
  expect(wishOf(option(9, Buffer.concat([metaData, hex('00')])), situation)).toMatchObject({
    error: 0x80000003,
  });
});

describe('TLS', () => {
  const required = { ...PLAIN, tls: 'required' } as const;
  const codes = Array.from({ length: 14 }, (_, code) => code).concat(0xffffffff);

  test('required: nothing but STARTTLS and ABORT before it, whatever else is wrong with an option', () => {
    for (const code of codes.filter((each) => each !== 5 && each !== 2))
      for (const tooBig of [false, true])
        expect(wishOf(option(code, Buffer.alloc(3), tooBig), required)).toMatchObject({ error: 0x80000005 });
    expect(wishOf(option(5), required)).toEqual({ kind: 'start-tls' });
    expect(wishOf(option(2), required)).toEqual({ kind: 'abort' });
    expect(wishOf(option(5, hex('00')), required)).toMatchObject({ error: 0x80000003 });
  });

  test('allowed: whoever wants it', () => {
    expect(wishOf(option(5), { ...PLAIN, tls: 'allowed' })).toEqual({ kind: 'start-tls' });
    expect(wishOf(option(3), { ...PLAIN, tls: 'allowed' })).toEqual({ kind: 'list' });
  });

  test('once it is on: not a second time, and NBD_REP_ERR_TLS_REQD never again', () => {
    for (const tls of ['allowed', 'required'] as const) {
      const secure = { tls, secure: true, structured: false };
      expect(wishOf(option(5), secure)).toMatchObject({ error: 0x80000003 });
      for (const code of codes)
        expect(wishOf(option(code, Buffer.alloc(3)), secure)).not.toMatchObject({ error: 0x80000005 });
    }
  });
});

test('transmission flags: what may be asked of a disk, and of one that is not written to', () => {
  // HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, MULTI_CONN, CACHE, FAST_ZERO.
  expect(transmissionFlags(disk, false)).toBe(0b1101_0110_1101);
  // HAS_FLAGS, READ_ONLY, FLUSH, FUA, MULTI_CONN, CACHE.
  expect(transmissionFlags(base, false)).toBe(0b0101_0000_1111);
  // DF beside them with structured replies.
  expect(transmissionFlags(disk, true)).toBe(0b1101_1110_1101);
  expect(transmissionFlags(base, true)).toBe(0b0101_1000_1111);
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
  expect(answerInfo({ kind: 'go', name: 'n1', wanted: [1] }, disk, false)).toEqual({
    bytes: hex(
      ...[MAGIC, '00000007', '00000003', '0000000c', '0000', '0000000000200000', '0d6d'],
      ...[MAGIC, '00000007', '00000003', '0000000e', '0003', '00000001', '00001000', '02000000'],
      ...[MAGIC, '00000007', '00000003', '00000004', '0001', text('n1')],
      ...[MAGIC, '00000007', '00000001', '00000000'],
    ),
    next: 'transmission',
  });
});

test('INFO: the same, and haggling goes on', () => {
  const { bytes, next } = answerInfo({ kind: 'describe', name: 'base:b', wanted: [] }, base, true);
  expect(bytes.subarray(0, 32)).toEqual(
    hex(MAGIC, '00000006', '00000003', '0000000c', '0000', '0000000000200000', '058f'),
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
  expect(answerInfo({ kind: 'go', name: 'n3', wanted: [] }, { refused, why }, false)).toEqual({
    bytes: hex(MAGIC, '00000007', code, length(why), text(why)),
    next: 'options',
  });
});

test('EXPORT_NAME: no header, and no way to refuse but to hang up', () => {
  expect(answerExportName(disk, false, true)).toEqual({
    bytes: hex('0000000000200000', '0d6d'),
    next: 'transmission',
  });
  expect(answerExportName(disk, false, false).bytes).toHaveLength(134);
  expect(answerExportName({ refused: 'unknown', why: '' }, false, true)).toEqual({
    bytes: hex(),
    next: 'close',
  });
  expect(answerRefusal(1, 0x80000003, 'bad name')).toEqual({ bytes: hex(), next: 'close' });
});

test('contexts: one reply each, numbered where they are chosen', () => {
  const allocation = text('base:allocation');
  const dirty = text('x-bootwright:dirty');
  expect(answerContexts({ kind: 'list-contexts', name: 'n1', queries: [] }, disk)).toEqual({
    answer: {
      bytes: hex(
        ...[MAGIC, '00000009', '00000004', '00000013', '00000000', allocation],
        ...[MAGIC, '00000009', '00000004', '00000016', '00000000', dirty],
        ...[MAGIC, '00000009', '00000001', '00000000'],
      ),
      next: 'options',
    },
    chosen: [],
  });
  const { answer, chosen } = answerContexts(
    { kind: 'set-contexts', name: 'n1', queries: ['x-bootwright:dirty', 'qemu:dirty-bitmap:b'] },
    disk,
  );
  expect(answer.bytes).toEqual(
    hex(
      ...[MAGIC, '0000000a', '00000004', '00000016', '00000002', dirty],
      ...[MAGIC, '0000000a', '00000001', '00000000'],
    ),
  );
  expect(chosen.map(({ id }) => id)).toEqual([2]);
  expect(
    answerContexts({ kind: 'set-contexts', name: 'n', queries: [] }, { refused: 'unknown', why: 'no' }),
  ).toEqual({
    answer: { bytes: hex(MAGIC, '0000000a', '80000006', '00000002', text('no')), next: 'options' },
    chosen: [],
  });
});

test('ABORT is acknowledged', () => {
  expect(answerAbort()).toEqual({ bytes: hex(MAGIC, '00000002', '00000001', '00000000'), next: 'close' });
});

test('any option is understood or refused, never thrown over', () => {
  const noise = fc.uint8Array({ maxLength: 64, size: 'max' });
  // A name's length that can be true: else noise is refused for it alone.
  const named = fc.tuple(fc.nat(70), noise).map(([length, rest]) => Uint8Array.of(0, 0, 0, length, ...rest));
  const situations = fc.record({
    tls: fc.constantFrom('off' as const, 'allowed' as const, 'required' as const),
    secure: fc.boolean(),
    structured: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.nat(12), fc.oneof(noise, named), situations, (code, data, situation) => {
      expect(wishOf(option(code, Buffer.from(data)), situation).kind).toBeDefined();
    }),
  );
});
