/** COBS, frames and operations: golden bytes (agent/protocol/serial/README.md), properties, and noise. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cobsDecode, cobsEncode } from '../../agent/protocol/serial/cobs.ts';
import {
  encodeSerialFrame,
  type LineItem,
  LONGEST_PAYLOAD,
  type SerialFrame,
  SerialFrameReader,
} from '../../agent/protocol/serial/frame.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  REFUSALS,
  type RefusalCode,
  type SerialAnswer,
  type SerialRequest,
} from '../../agent/protocol/serial/operations.ts';
import { expandRun, runAt } from '../../agent/protocol/serial/run.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

interface Vector {
  what: string;
  kind: SerialFrame['kind'];
  session: number;
  sequence: number;
  /** Bytes as hexadecimal text. */
  message: Record<string, unknown>;
  bytes: string;
}
const vectors: Vector[] = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../fixtures/serial/frames.json'), 'utf8'),
);

/** A message of a vector: `bytes` of runs are hexadecimal there. */
function messageOf(message: Record<string, unknown>): SerialRequest & SerialAnswer {
  const run = message.run as { bytes: string } | undefined;
  const value = run === undefined ? message : { ...message, run: { ...run, bytes: bytesOf(run.bytes) } };
  return value as unknown as SerialRequest & SerialAnswer;
}

const payloads = fc.uint8Array({ maxLength: LONGEST_PAYLOAD, size: 'max' });
const anyFrame: fc.Arbitrary<SerialFrame> = fc.record({
  kind: fc.constantFrom('request' as const, 'answer' as const),
  session: fc.nat(0xffff),
  sequence: fc.nat(0xff),
  payload: payloads,
});
const uint = fc.nat(0x7fffffff);
const run = fc
  .record({ bytes: fc.uint8Array({ maxLength: 512, size: 'max' }), fill: fc.nat(255), more: fc.nat(8192) })
  .map(({ bytes, fill, more }) => ({ bytes, fill, length: bytes.length + more }));
const text = fc.string({ maxLength: 100 });

describe('COBS', () => {
  it.each([
    ['', '01'],
    ['00', '0101'],
    ['0000', '010101'],
    ['11220033', '0311220233'],
    ['11223344', '0511223344'],
    ['11000000', '0211010101'],
    [`${'01'.repeat(254)}`, `ff${'01'.repeat(254)}`],
    [`00${'01'.repeat(254)}`, `01ff${'01'.repeat(254)}`],
    [`${'01'.repeat(255)}`, `ff${'01'.repeat(254)}0201`],
    [`${'01'.repeat(254)}00`, `ff${'01'.repeat(254)}0101`],
  ])('%s', (plain, stuffed) => {
    expect(hex(cobsEncode(bytesOf(plain)))).toBe(stuffed);
    expect(hex(cobsDecode(bytesOf(stuffed))!)).toBe(plain);
  });

  it.each([
    ['nothing', ''],
    ['a zero', '0111000211'],
    ['a zero for a code', '00'],
    ['an end before the run ends', '0511'],
  ])('is not %s', (_what, stuffed) => {
    expect(cobsDecode(bytesOf(stuffed))).toBeUndefined();
  });

  it('gives back what went in, without a zero', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1100, size: 'max' }), (bytes) => {
        const stuffed = cobsEncode(bytes);
        expect(stuffed.includes(0)).toBe(false);
        expect(stuffed.length).toBeLessThanOrEqual(bytes.length + Math.floor(bytes.length / 254) + 1);
        expect(hex(cobsDecode(stuffed)!)).toBe(hex(bytes));
      }),
    );
  });
});

describe('golden frames', () => {
  it.each(vectors.map((vector) => [vector.what, vector] as const))('%s', (_what, vector) => {
    const { kind, session, sequence } = vector;
    const message = messageOf(vector.message);
    const payload = kind === 'request' ? encodeRequest(message) : encodeAnswer(message);
    expect(hex(encodeSerialFrame({ kind, session, sequence, payload }))).toBe(vector.bytes);
    const [item, ...more] = new SerialFrameReader().push(bytesOf(vector.bytes));
    expect(more).toEqual([]);
    expect(item).toMatchObject({ kind: 'frame', frame: { kind, session, sequence } });
    const found = (item as Extract<LineItem, { kind: 'frame' }>).frame.payload;
    expect(kind === 'request' ? decodeRequest(found) : decodeAnswer(found)).toEqual(message);
  });
});

describe('frames among console text', () => {
  it('come out as they went in, and so does the text, however the line cuts them', () => {
    const chatter = fc
      .string({ maxLength: 60 })
      .map((line) => new Uint8Array(Buffer.from(line.replaceAll('\0', '?'))));
    const items = fc.array(fc.oneof(chatter, anyFrame), { maxLength: 8 });
    fc.assert(
      fc.property(items, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sent, cuts) => {
        const line = Buffer.concat(sent.map((item) => ('kind' in item ? encodeSerialFrame(item) : item)));
        const reader = new SerialFrameReader();
        const frames: SerialFrame[] = [];
        let said = '';
        for (let at = 0, i = 0; at < line.length; i++) {
          const end = at + cuts[i % cuts.length]!;
          for (const item of reader.push(line.subarray(at, end)))
            if (item.kind === 'frame') frames.push(item.frame);
            else said += Buffer.from(item.bytes).toString('latin1');
          at = end;
        }
        expect(frames).toEqual(sent.filter((item): item is SerialFrame => 'kind' in item));
        const typed = sent.flatMap((item) => ('kind' in item ? [] : [item]));
        expect(said).toBe(Buffer.concat(typed).toString('latin1'));
        expect(reader.damaged).toBe(0);
      }),
    );
  });

  it('any damage to a frame is noticed, and the next frame is whole again', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), fc.integer({ min: 1, max: 255 }), (frame, where, flip) => {
        const bytes = encodeSerialFrame(frame);
        // Not the first zero: without it there is only text.
        const at = 1 + (where % (bytes.length - 1));
        bytes[at]! ^= flip;
        const reader = new SerialFrameReader();
        const first = reader.push(bytes).filter(({ kind }) => kind === 'frame');
        expect(first).toEqual([]);
        const next = reader.push(encodeSerialFrame(frame)).filter(({ kind }) => kind === 'frame');
        expect(next).toEqual([{ kind: 'frame', frame }]);
      }),
      { numRuns: 500 },
    );
  });

  it('holds back no more than one frame, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (chunks) => {
        const reader = new SerialFrameReader();
        let given = 0;
        let zeroes = 0;
        for (const chunk of chunks) {
          zeroes += chunk.filter((byte) => byte === 0 || byte === 0xf5).length;
          for (const item of reader.push(chunk)) given += item.kind === 'text' ? item.bytes.length : 0;
        }
        const total = chunks.reduce((sum, { length }) => sum + length, 0);
        expect(given).toBeLessThanOrEqual(total);
        expect(total - given).toBeLessThanOrEqual(zeroes + 700);
      }),
    );
    const reader = new SerialFrameReader();
    const text = reader.push(bytesOf(`00f5${'41'.repeat(2000)}`));
    expect(text.reduce((sum, item) => sum + (item.kind === 'text' ? item.bytes.length : 0), 0)).toBe(2000);
    expect(reader.damaged).toBe(1);
  });

  it('a payload that is too long is refused', () => {
    const payload = new Uint8Array(LONGEST_PAYLOAD + 1);
    expect(() => encodeSerialFrame({ kind: 'request', session: 1, sequence: 1, payload })).toThrow(
      RangeError,
    );
  });
});

describe('operations', () => {
  const anyRequest: fc.Arbitrary<SerialRequest> = fc.oneof(
    fc.record({ op: fc.constant('hello' as const), version: uint }),
    fc.record({ op: fc.constant('read' as const), offset: uint, length: uint, most: uint }),
    fc.record({ op: fc.constant('write' as const), offset: uint, run }),
    fc.record({ op: fc.constant('verify' as const), length: uint, crc: uint }),
    fc.record({ op: fc.constant('commit' as const), offset: uint, length: uint, crc: uint }),
    fc.record({ op: fc.constant('reset' as const) }),
    fc.record({ op: fc.constant('log' as const), from: uint }),
  );
  const code = fc.constantFrom(...(Object.keys(REFUSALS) as RefusalCode[]));
  const anyAnswer: fc.Arbitrary<SerialAnswer> = fc.oneof(
    fc.record({
      ...{ op: fc.constant('hello' as const), version: uint, uid: text, layout: text },
      ...{ size: uint, chunk: uint, locked: fc.boolean(), firmware: text },
    }),
    fc.record({ op: fc.constant('read' as const), run }),
    fc.record({ op: fc.constantFrom('write' as const, 'verify' as const, 'reset' as const) }),
    fc.record({ op: fc.constant('commit' as const), crc: uint }),
    fc.record({ op: fc.constant('log' as const), next: uint, text }),
    fc.record({ op: fc.constant('refused' as const), code, why: text }),
  );

  it('come back as they were', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        expect(decodeRequest(encodeRequest(request))).toEqual(request);
      }),
    );
    fc.assert(
      fc.property(anyAnswer, (answer) => {
        expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
      }),
    );
    fc.assert(
      fc.property(anyRequest, fc.nat(), fc.nat(255), (request, where, value) => {
        const bytes = new Uint8Array(encodeRequest(request));
        bytes[where % bytes.length] = value;
        decodeRequest(bytes);
        decodeAnswer(bytes);
        const whole = encodeRequest(request);
        expect(decodeRequest(whole.subarray(0, whole.length - 1))).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
  });

  it('a store in runs is the store', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.tuple(fc.nat(255), fc.nat(400)).map(([fill, length]) => new Uint8Array(length).fill(fill)),
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1 }), fc.integer({ min: 1, max: 64 }), (pieces, most) => {
        const image = new Uint8Array(Buffer.concat(pieces));
        const copy: Uint8Array[] = [];
        for (let offset = 0; offset < image.length; ) {
          const run = runAt(image, offset, image.length, most);
          expect(run.bytes.length).toBeLessThanOrEqual(most);
          expect(run.length).toBeGreaterThan(0);
          copy.push(expandRun(run));
          offset += run.length;
        }
        expect(hex(Buffer.concat(copy))).toBe(hex(image));
      }),
    );
  });
});
