/** What a technician's end asks of a node over the line, and what the node answers: arrays of CBOR (README.md). */
import { Decoder, Encoder } from 'cbor-x';
import { cborFault } from '../cbor-shape.ts';
import type { Run } from './run.ts';

export const SERIAL_VERSION = 1;
/** Most literal bytes of one read or write: the payload takes them and its head. */
export const LONGEST_CHUNK = 512;

export type SerialRequest =
  | { op: 'hello'; version: number }
  /** `most`: literal bytes that the answer may carry. */
  | { op: 'read'; offset: number; length: number; most: number }
  /** Into the node's memory; the store stays as it is. */
  | { op: 'write'; offset: number; run: Run }
  /** Is the node's memory, from its start, what has this CRC-32? */
  | { op: 'verify'; length: number; crc: number }
  /** From the node's memory to `offset` of the store, durably, then read back. */
  | { op: 'commit'; offset: number; length: number; crc: number }
  | { op: 'reset' }
  /** Lines of the node's log from position `from` on. */
  | { op: 'log'; from: number };

export type SerialAnswer =
  | {
      op: 'hello';
      version: number;
      /** Text form of ../uid.ts; '' where it has none. */
      uid: string;
      /** Name of the store's layout (../pointer/layout.ts). */
      layout: string;
      /** Bytes of the store. */
      size: number;
      /** Most literal bytes it takes in one write. */
      chunk: number;
      /** It shows its pointer and refuses writes. */
      locked: boolean;
      /** What it is, for people. */
      firmware: string;
    }
  | { op: 'read'; run: Run }
  | { op: 'write' | 'verify' | 'reset' }
  /** CRC-32 of what the store holds there, read past every cache. */
  | { op: 'commit'; crc: number }
  /** `next`: where the log goes on. */
  | { op: 'log'; next: number; text: string }
  | { op: 'refused'; code: RefusalCode; why: string };

/** Why a node refuses, and the number of it on the line. */
export const REFUSALS = {
  /** It does not know the operation, or a value is out of range. */
  request: 1,
  locked: 2,
  /** The memory does not hold what the CRC-32 says. */
  mismatch: 3,
  /** The store failed, or holds something else than was written to it. */
  store: 4,
  /** No hello in this session: the node was reset. */
  session: 5,
} as const;
export type RefusalCode = keyof typeof REFUSALS;

const OPS = { hello: 1, read: 2, write: 3, verify: 4, commit: 5, reset: 6, log: 7 } as const;
const REFUSED = 0;

const encoder = new Encoder({ useRecords: false, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false });

export function encodeRequest(request: SerialRequest): Uint8Array {
  return encoder.encode([OPS[request.op], ...requestValues(request)]);
}

function requestValues(request: SerialRequest): unknown[] {
  switch (request.op) {
    case 'hello':
      return [request.version];
    case 'read':
      return [request.offset, request.length, request.most];
    case 'write':
      return [request.offset, ...runValues(request.run)];
    case 'verify':
      return [request.length, request.crc];
    case 'commit':
      return [request.offset, request.length, request.crc];
    case 'reset':
      return [];
    case 'log':
      return [request.from];
  }
}

/** The request in a payload; undefined where it is none of this version. */
export function decodeRequest(payload: Uint8Array): SerialRequest | undefined {
  const items = decodeArray(payload);
  switch (items.uint()) {
    case OPS.hello:
      return items.whole({ op: 'hello', version: items.uint() });
    case OPS.read:
      return items.whole({ op: 'read', offset: items.uint(), length: items.uint(), most: items.uint() });
    case OPS.write:
      return items.whole({ op: 'write', offset: items.uint(), run: items.run() });
    case OPS.verify:
      return items.whole({ op: 'verify', length: items.uint(), crc: items.uint() });
    case OPS.commit:
      return items.whole({ op: 'commit', offset: items.uint(), length: items.uint(), crc: items.uint() });
    case OPS.reset:
      return items.whole({ op: 'reset' });
    case OPS.log:
      return items.whole({ op: 'log', from: items.uint() });
    default:
      return undefined;
  }
}

export function encodeAnswer(answer: SerialAnswer): Uint8Array {
  if (answer.op === 'refused') return encoder.encode([REFUSED, REFUSALS[answer.code], answer.why]);
  return encoder.encode([OPS[answer.op], ...answerValues(answer)]);
}

function answerValues(answer: Exclude<SerialAnswer, { op: 'refused' }>): unknown[] {
  switch (answer.op) {
    case 'hello': {
      const { version, uid, layout, size, chunk, locked, firmware } = answer;
      return [version, uid, layout, size, chunk, locked ? 1 : 0, firmware];
    }
    case 'read':
      return runValues(answer.run);
    case 'write':
    case 'verify':
    case 'reset':
      return [];
    case 'commit':
      return [answer.crc];
    case 'log':
      return [answer.next, answer.text];
  }
}

/** The answer in a payload; undefined where it is none of this version. */
export function decodeAnswer(payload: Uint8Array): SerialAnswer | undefined {
  const items = decodeArray(payload);
  switch (items.uint()) {
    case REFUSED: {
      const number = items.uint();
      const code = (Object.keys(REFUSALS) as RefusalCode[]).find((name) => REFUSALS[name] === number);
      const why = items.text();
      return code === undefined ? undefined : items.whole({ op: 'refused', code, why });
    }
    case OPS.hello:
      return items.whole({
        op: 'hello',
        version: items.uint(),
        uid: items.text(),
        layout: items.text(),
        size: items.uint(),
        chunk: items.uint(),
        locked: items.uint() !== 0,
        firmware: items.text(),
      });
    case OPS.read:
      return items.whole({ op: 'read', run: items.run() });
    case OPS.write:
      return items.whole({ op: 'write' });
    case OPS.verify:
      return items.whole({ op: 'verify' });
    case OPS.commit:
      return items.whole({ op: 'commit', crc: items.uint() });
    case OPS.reset:
      return items.whole({ op: 'reset' });
    case OPS.log:
      return items.whole({ op: 'log', next: items.uint(), text: items.text() });
    default:
      return undefined;
  }
}

function runValues({ bytes, fill, length }: Run): unknown[] {
  return [bytes, fill, length];
}

function decodeArray(payload: Uint8Array): Items {
  if (cborFault(payload) !== undefined) return new Items([]);
  try {
    const value: unknown = decoder.decode(payload);
    return new Items(Array.isArray(value) ? value : []);
  } catch {
    // Good CBOR that the decoder makes nothing of: a map for a key.
    return new Items([]);
  }
}

/** A cursor over an array's items. A wrong one is remembered, and what is read from there on has no meaning. */
class Items {
  readonly #items: unknown[];
  #at = 0;
  #wrong = false;

  constructor(items: unknown[]) {
    this.#items = items;
  }

  uint(): number {
    const item = this.#items[this.#at++];
    if (typeof item === 'number' && Number.isInteger(item) && item >= 0 && item <= 0xffffffff) return item;
    this.#wrong = true;
    return Number.NaN;
  }

  text(): string {
    const item = this.#items[this.#at++];
    if (typeof item === 'string') return item;
    this.#wrong = true;
    return '';
  }

  run(): Run {
    const item = this.#items[this.#at++];
    const bytes = item instanceof Uint8Array ? new Uint8Array(item) : new Uint8Array();
    if (!(item instanceof Uint8Array)) this.#wrong = true;
    const [fill, length] = [this.uint(), this.uint()];
    if (fill > 0xff || length < bytes.length) this.#wrong = true;
    return { bytes, fill, length };
  }

  /** `value` where every item was right and none is left over. */
  whole<T>(value: T): T | undefined {
    return this.#wrong || this.#at !== this.#items.length ? undefined : value;
  }
}
