import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Write } from '../../imager/registry/buffered.ts';
import { decodeLog, encodeGroup, type Group, LOG_MAGIC } from '../../imager/registry/log-record.ts';

const put = (part: string, value: unknown, revision: number): Write => ({
  written: `${part}\0`,
  stored: { value, revision },
});
const GROUPS: Group[] = [
  { first: 7, transactions: [[put('a', { bytes: new Uint8Array([1, 2]), n: 1.5 }, 7)]] },
  {
    first: 8,
    transactions: [[{ written: 'a\0', stored: undefined }], [put('b', 'BWrc', 9), put('c', null, 9)]],
  },
  { first: 10, transactions: [[put('\xc3\xa9', [true, -1], 10)]] },
];
const records = GROUPS.map(({ first, transactions }) => Buffer.from(encodeGroup(first, transactions)));
const LOG = Buffer.concat([LOG_MAGIC, ...records]);
/** Where each record ends. */
const ENDS = records.map((_, index) =>
  records.slice(0, index + 1).reduce((sum, record) => sum + record.length, LOG_MAGIC.length),
);

test('the bytes of a record', () => {
  expect(
    Buffer.from(encodeGroup(1, [[put('a', 1, 1)], [{ written: 'b\0', stored: undefined }]])).toString('hex'),
  ).toBe(
    // BWrc, 14 bytes, CRC-32, [1, [[["a\0", 1]], [["b\0"]]]]
    '42577263' +
      '0e000000' +
      'a4cd20d6' +
      '82' +
      '01' +
      '82' +
      '81' +
      '82' +
      '626100' +
      '01' +
      '81' +
      '81' +
      '626200',
  );
});

test('what was written is read', () => {
  expect(decodeLog(LOG)).toEqual({ groups: GROUPS, end: LOG.length });
});

test('of a log cut anywhere the whole records are left', () => {
  for (let length = 0; length <= LOG.length; length++) {
    const whole = ENDS.filter((end) => end <= length).length;
    const end = length < LOG_MAGIC.length ? 0 : (ENDS[whole - 1] ?? LOG_MAGIC.length);
    expect(decodeLog(LOG.subarray(0, length)), `cut at ${length}`).toEqual({
      groups: GROUPS.slice(0, whole),
      end,
    });
  }
});

test('a damaged byte is an error that names the place; in the last record it may be a write that was cut off', () => {
  const lastStarts = ENDS.at(-2)!;
  for (let at = 0; at < LOG.length; at++)
    for (const bits of [0xff, 0x01, LOG[at]!]) {
      const log = Buffer.from(LOG);
      log[at]! ^= bits;
      if (log.equals(LOG)) continue;
      const start = [0, LOG_MAGIC.length, ...ENDS].findLast((begin) => begin <= at)!;
      if (at < lastStarts) expect(() => decodeLog(log), `byte ${at}`).toThrow(`at byte ${start}: `);
      else if (at !== undefined)
        try {
          expect(decodeLog(log)).toEqual({ groups: GROUPS.slice(0, -1), end: lastStarts });
        } catch (error) {
          expect((error as Error).message).toContain(`at byte ${lastStarts}: `);
        }
    }
});

test('a last record of which only some parts got to the disk is cut off', () => {
  const start = ENDS.at(-1)!;
  // Longer than 64 KiB, so that of its length too there may be parts.
  const last = Buffer.from(encodeGroup(11, [[put('a', 'y'.repeat(70_000), 11)]]));
  for (let at = 0; at < 20; at++)
    for (const [from, to] of [
      [0, at + 1],
      [at, last.length],
    ] as const) {
      const log = Buffer.concat([LOG, Buffer.from(last).fill(0, from, to)]);
      expect(decodeLog(log), `zeroes from ${from} to ${to}`).toEqual({ groups: GROUPS, end: start });
    }
});

/** Records as a value may have them: where this log goes on, and of another one. */
const RECORDS = Buffer.concat([encodeGroup(3, [[put('b', 'z', 3)]]), encodeGroup(9, [[put('b', 'z', 9)]])]);

test.each([
  ['text', 'y'.repeat(1500)],
  ['records', new Uint8Array(Buffer.concat([Buffer.alloc(600, 'y'), RECORDS, Buffer.alloc(700, 'y')]))],
  ['records up to its end', new Uint8Array(Buffer.concat([Buffer.alloc(1400, 'y'), RECORDS]))],
])(
  'a last record of which any sectors got to the disk, and others did not, is cut off, wherever it begins, with a value of %s',
  (_, value) => {
    const sector = 512;
    const short = encodeGroup(1, [[put('a', 'x'.repeat(300), 1)]]).length - 300;
    for (let start = sector - 14; start <= sector; start++) {
      const first = encodeGroup(1, [[put('a', 'x'.repeat(start - LOG_MAGIC.length - short), 1)]]);
      // Of its length each byte may be in another sector than the next.
      const whole = Buffer.concat([LOG_MAGIC, first, encodeGroup(2, [[put('a', value, 2)]])]);
      const sectors = Math.ceil(whole.length / sector);
      const from = Math.floor(start / sector);
      for (let lost = 1; lost < 2 ** (sectors - from); lost++) {
        const log = Buffer.from(whole);
        for (let n = 0; n < sectors - from; n++)
          if ((lost >> n) & 1)
            log.subarray(Math.max(start, (from + n) * sector), (from + n + 1) * sector).fill(0);
        const { groups, end } = decodeLog(log);
        expect([groups.length, end], `from ${start}, lost ${lost.toString(2)}`).toEqual([1, start]);
      }
    }
  },
);

test('a value of records comes back, and is no record of the log', () => {
  for (const value of [new Uint8Array(RECORDS), 'BWrc', 'BWr\0c', { BWr: 'abc' }]) {
    const record = Buffer.from(encodeGroup(1, [[put('a', value, 1)]]));
    expect(record.lastIndexOf('BWrc')).toBe(0);
    const { groups } = decodeLog(Buffer.concat([LOG_MAGIC, record]));
    expect(groups[0]!.transactions[0]![0]!.stored!.value).toEqual(value);
  }
});

test('a record whose head is lost, with a sound one behind it, is damage: both were durable', () => {
  const log = Buffer.from(LOG).fill(0, LOG_MAGIC.length, LOG_MAGIC.length + 12);
  expect(() => decodeLog(log)).toThrow(`at byte ${LOG_MAGIC.length}: a record is damaged`);
});

test.each([
  [
    'a hole in the revisions',
    [encodeGroup(3, [[put('a', 1, 3)]]), encodeGroup(5, [[put('a', 1, 5)]])],
    /revision 5 where 4 is/,
  ],
  [
    'a record twice',
    [encodeGroup(3, [[put('a', 1, 3)]]), encodeGroup(3, [[put('a', 1, 3)]])],
    /revision 3 where 4 is/,
  ],
  ['no revision', [encodeGroup(0, [[put('a', 1, 0)]])], /revision 0/],
  ['no transaction', [encodeGroup(1, [])], /without transactions/],
  ['a key without an end', [encodeGroup(1, [[{ written: 'a', stored: undefined }]])], /without a key/],
])('%s is refused', (_, bad, words) => {
  expect(() => decodeLog(Buffer.concat([LOG_MAGIC, ...bad]))).toThrow(words);
});

test('another file is refused', () => {
  expect(() => decodeLog(Buffer.from('hello world'))).toThrow('at byte 0: it does not begin as a log');
  expect(() => decodeLog(Buffer.from('BWx'))).toThrow('does not begin as a log');
});

test('the deepest value there may be is read', () => {
  let value: unknown = 1;
  for (let n = 0; n < 64; n++) value = [value];
  const { groups } = decodeLog(Buffer.concat([LOG_MAGIC, encodeGroup(1, [[put('a', value, 1)]])]));
  expect(groups[0]!.transactions[0]![0]!.stored!.value).toEqual(value);
});

test('groups of any shape come back', () => {
  const write = fc
    .tuple(fc.string({ minLength: 1, unit: 'grapheme-ascii' }), fc.option(fc.jsonValue()))
    .map(([part, value]) => ({ part, value }));
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.array(write, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }), {
        maxLength: 5,
      }),
      fc.integer({ min: 1, max: 2 ** 50 }),
      (shape, start) => {
        let revision = start;
        const groups = shape.map((transactions) => {
          const first = revision;
          const made = transactions.map((writes) => {
            const now = revision++;
            return writes.map(({ part, value }) =>
              value === null ? { written: `${part}\0`, stored: undefined } : put(part, clean(value), now),
            );
          });
          return { first, transactions: made };
        });
        const log = Buffer.concat([
          LOG_MAGIC,
          ...groups.map((group) => encodeGroup(group.first, group.transactions)),
        ]);
        expect(decodeLog(log)).toEqual({ groups, end: log.length });
      },
    ),
  );
});

/** Without -0 and members of a prototype's name, which no stored value has. */
function clean(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (name, member) =>
    name === '__proto__' ? undefined : member === 0 ? 0 : member,
  );
}
