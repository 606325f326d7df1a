/** The node's end of the line, request by request: what it answers, refuses, and does only once. */
import { beforeEach, describe, expect, it } from 'vitest';
import { crc32 } from '../../agent/protocol/crc32.ts';
import { SerialAnswerer } from '../../agent/protocol/serial/answerer.ts';
import { type SerialFrame, SerialFrameReader } from '../../agent/protocol/serial/frame.ts';
import {
  decodeAnswer,
  encodeRequest,
  type SerialAnswer,
  type SerialRequest,
} from '../../agent/protocol/serial/operations.ts';

const SIZE = 64;
const TEXT = Uint8Array.of(1, 2, 3, 4);
const WRITE: SerialRequest = { op: 'write', offset: 0, run: { bytes: TEXT, fill: 9, length: 8 } };
const STAGED = Uint8Array.of(1, 2, 3, 4, 9, 9, 9, 9);
const COMMIT: SerialRequest = { op: 'commit', offset: 16, length: 8, crc: crc32(STAGED) };

let stored: Uint8Array;
let writes: number;
let onWrite: (offset: number, bytes: Uint8Array) => void;
let sequence: number;

beforeEach(() => {
  stored = new Uint8Array(SIZE).fill(0xff);
  writes = 0;
  sequence = 0;
  onWrite = (offset, bytes) => stored.set(bytes, offset);
});

function node(locked = false): SerialAnswerer {
  const identity = { uid: 'serial:x', layout: 'uboot-env', size: SIZE, locked, firmware: 'stub' };
  const store = {
    read: (offset: number, length: number) => stored.slice(offset, offset + length),
    write(offset: number, bytes: Uint8Array) {
      writes++;
      onWrite(offset, bytes);
    },
  };
  return new SerialAnswerer(identity, store, () => 'line 1\nline 2\n'.repeat(30));
}

function frame(request: SerialRequest, session = 7, number = ++sequence): SerialFrame {
  return { kind: 'request', session, sequence: number, payload: encodeRequest(request) };
}

function ask(to: SerialAnswerer, request: SerialRequest, session = 7): SerialAnswer | undefined {
  const reaction = to.take(frame(request, session));
  const [item] = new SerialFrameReader().push(reaction!.send);
  if (item?.kind !== 'frame') throw new Error('the reaction is no frame');
  expect(item.frame).toMatchObject({ kind: 'answer', session, sequence });
  return decodeAnswer(item.frame.payload);
}

function opened(locked = false): SerialAnswerer {
  const one = node(locked);
  expect(ask(one, { op: 'hello', version: 1 })).toMatchObject({
    op: 'hello',
    uid: 'serial:x',
    size: SIZE,
    locked,
  });
  return one;
}

it('write, verify, commit: the store changes at the commit alone, and what was read back is told', () => {
  const one = opened();
  expect(ask(one, WRITE)).toEqual({ op: 'write' });
  expect(ask(one, { op: 'verify', length: 8, crc: crc32(STAGED) })).toEqual({ op: 'verify' });
  expect(writes).toBe(0);
  expect(ask(one, COMMIT)).toEqual({ op: 'commit', crc: crc32(STAGED) });
  expect([...stored.subarray(14, 26)]).toEqual([255, 255, ...STAGED, 255, 255]);
  expect(ask(one, { op: 'read', offset: 16, length: 48, most: 8 })).toEqual({
    op: 'read',
    run: { bytes: TEXT, fill: 9, length: 8 },
  });
  expect(ask(one, { op: 'read', offset: 24, length: 40, most: 8 })).toEqual({
    op: 'read',
    run: { bytes: new Uint8Array(), fill: 255, length: 40 },
  });
});

it('a request that comes again is answered with the same bytes and not done again', () => {
  const one = opened();
  ask(one, WRITE);
  const again = frame(COMMIT);
  const first = one.take(again)!;
  stored.fill(0, 16, 24);
  expect(one.take(again)!.send).toEqual(first.send);
  expect(writes).toBe(1);
  expect(stored[16]).toBe(0);
});

it('another session begins with a blank memory, and the former one is closed', () => {
  const one = opened();
  ask(one, WRITE);
  expect(ask(one, { op: 'hello', version: 1 }, 8)).toMatchObject({ op: 'hello' });
  expect(ask(one, COMMIT, 8)).toMatchObject({ op: 'refused', code: 'mismatch' });
  expect(ask(one, COMMIT, 7)).toMatchObject({ op: 'refused', code: 'session' });
  expect(writes).toBe(0);
  expect(ask(node(), WRITE)).toMatchObject({ op: 'refused', code: 'session' });
});

it('session 0 is none: refused before a hello, and a hello in it opens nothing', () => {
  const one = node();
  for (const request of [WRITE, COMMIT, { op: 'hello', version: 1 } as const, COMMIT])
    expect(ask(one, request, 0)).toMatchObject({ op: 'refused', code: 'session' });
  expect(ask(one, { op: 'hello', version: 1 })).toMatchObject({ op: 'hello' });
  expect(ask(one, { op: 'hello', version: 1 }, 0)).toMatchObject({ op: 'refused', code: 'session' });
  // And closes nothing.
  expect(ask(one, WRITE)).toEqual({ op: 'write' });
  expect(ask(one, COMMIT, 0)).toMatchObject({ op: 'refused', code: 'session' });
  expect(writes).toBe(0);
});

describe('refused', () => {
  it.each<[string, SerialRequest]>([
    ['a read past the end', { op: 'read', offset: 60, length: 5, most: 8 }],
    ['a read of nothing', { op: 'read', offset: 0, length: 0, most: 8 }],
    ['a read that may carry nothing', { op: 'read', offset: 0, length: 8, most: 0 }],
    ['a read longer than a frame', { op: 'read', offset: 0, length: 8, most: 513 }],
    ['a write past the end', { op: 'write', offset: 60, run: { bytes: TEXT, fill: 0, length: 5 } }],
    ['a verify past the end', { op: 'verify', length: 65, crc: 0 }],
    ['a commit past the end', { op: 'commit', offset: 60, length: 5, crc: 0 }],
    ['a commit of nothing', { op: 'commit', offset: 0, length: 0, crc: 0 }],
  ])('%s', (_what, request) => {
    expect(ask(opened(), request)).toMatchObject({ op: 'refused', code: 'request' });
    expect(writes).toBe(0);
  });

  it('an operation it does not know', () => {
    const one = opened();
    const reaction = one.take({ ...frame({ op: 'reset' }), payload: Uint8Array.of(0x81, 0x09) })!;
    const [item] = new SerialFrameReader().push(reaction.send);
    expect(item?.kind === 'frame' && decodeAnswer(item.frame.payload)).toMatchObject({ code: 'request' });
    expect(reaction.reset).toBe(false);
  });

  it('a commit on a locked node', () => {
    const one = opened(true);
    ask(one, WRITE);
    expect(ask(one, COMMIT)).toMatchObject({ op: 'refused', code: 'locked' });
    expect(writes).toBe(0);
  });

  it('by a store that fails, or stores something else', () => {
    const one = opened();
    ask(one, WRITE);
    onWrite = () => {};
    expect(ask(one, COMMIT)).toMatchObject({ code: 'store', why: expect.stringContaining('something else') });
    onWrite = () => {
      throw new Error(`bus error ${'€'.repeat(500)}`);
    };
    expect(ask(one, COMMIT)).toMatchObject({ code: 'store', why: expect.stringContaining('bus error') });
  });
});

it('an answer is no request: an echo of its own is passed over', () => {
  const one = opened();
  const { send } = one.take(frame(WRITE))!;
  const [item] = new SerialFrameReader().push(send);
  expect(item?.kind === 'frame' && one.take(item.frame)).toBeUndefined();
});

it('the log comes in pieces, to its end', () => {
  const one = opened();
  let text = '';
  for (let from = 0; ; ) {
    const answer = ask(one, { op: 'log', from });
    if (answer?.op !== 'log') throw new Error('no log');
    if (answer.next === from) break;
    text += answer.text;
    from = answer.next;
  }
  expect(text).toBe('line 1\nline 2\n'.repeat(30));
});

it('a reset is answered before it is done', () => {
  const reaction = opened().take(frame({ op: 'reset' }))!;
  expect(reaction.reset).toBe(true);
});
